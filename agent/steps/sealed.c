/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/sealed.h"

#include <string.h>

#include "base/file.h"
#include "model/paths.h"

#define ASK_S 30
#define STOP_S 120
#define NOT_LOADED \
	5 /* of systemctl(1): a unit is not installed; the others are stopped */

/* In this order: who would start the next one goes first. */
static const char *const units[] = {
	"vgpu-guest-agent.timer",
	"vgpu-guest-agent-monitor.service",
	"vgpu-guest-agent-hourly.timer",
	"vgpu-guest-agent-rotate.path",
	"vgpu-licensed.path",
	"vgpu-guest-agent-rotate.service",
	"vgpu-guest-agent.service",
};
/* Those that are enabled by themselves; the others are theirs. */
#define ENABLED 2

bool sealed_is(const struct root *root)
{
	struct error ignored = ERROR_INIT;
	bool there;

	return root_exists(root, PATHS_SEALED, &there, &ignored) < 0 || there;
}

static int systemctl(struct runner *runner, const struct root *root, const char **argv,
		     unsigned timeout_s, int *ret_status, struct error *err)
{
	struct run run = { .argv = argv, .timeout_s = timeout_s };
	cleanup(run_result_done) struct run_result result = { 0 };

	if (run_question(runner, root, &run, RUN_STATUS_MAX, &result, err) < 0)
		return error_prefix(err, "systemctl %s", argv[1]);
	*ret_status = result.status;
	return 0;
}

static int stop_units(struct runner *runner, const struct root *root, bool *ret_changed,
		      struct error *err)
{
	const char *ask[3 + ARRAY_SIZE(units) + 1] = { NULL, "is-active", "--quiet" };
	const char *stop[3 + ARRAY_SIZE(units) + 1] = { NULL, "stop", "--quiet" };
	char program[128];
	int status;

	*ret_changed = false;
	if (!run_find_systemctl(root, program, sizeof(program)))
		return 0;
	ask[0] = stop[0] = program;
	memcpy(&ask[3], units, sizeof(units));
	memcpy(&stop[3], units, sizeof(units));
	if (systemctl(runner, root, ask, ASK_S, &status, err) < 0)
		return -1;
	*ret_changed = status == 0;
	if (systemctl(runner, root, stop, STOP_S, &status, err) < 0)
		return -1;
	if (status != 0 && status != NOT_LOADED)
		return error_set(err, ERROR_INTERNAL,
				 "stopping the agent's units: systemctl ended with %d",
				 status);
	return 0;
}

int sealed_begin(struct runner *runner, const struct root *root, bool *ret_changed,
		 struct error *err)
{
	if (root_mkdir(root, PATHS_LOCK_DIR, 0755, err) < 0 ||
	    file_write_atomic(root, PATHS_SEALED, "", 0, 0644, err) < 0)
		return -1;
	return stop_units(runner, root, ret_changed, err);
}

int sealed_end(struct runner *runner, const struct root *root, struct error *err)
{
	char program[128];

	if (!sealed_is(root))
		return 0;
	if (root_unlink(root, PATHS_SEALED, err) < 0)
		return -1;
	if (!run_find_systemctl(root, program, sizeof(program)))
		return 0;
	for (size_t i = 0; i < ENABLED; i++) {
		const char *ask[] = { program, "is-enabled", "--quiet", units[i], NULL };
		const char *start[] = { program, "start", "--no-block", units[i], NULL };
		int status;

		if (systemctl(runner, root, ask, ASK_S, &status, err) < 0 ||
		    (status == 0 &&
		     systemctl(runner, root, start, ASK_S, &status, err) < 0))
			return -1;
	}
	return 0;
}
