/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/license/gridd.h that stops the daemon. */

#include "steps/license/gridd.h"

#include "base/run.h"
#include "model/paths.h"

#define ASK_S 30
#define STOP_S 120
#define INACTIVE_LAST 4 /* of is-active: 3 not active, 4 no such unit */

int gridd_stop(struct runner *runner, const struct root *root, bool *ret_changed,
	       struct error *err)
{
	char program[128];
	const char *ask[] = { program, "--quiet", "is-active", PATHS_GRIDD_UNIT, NULL };
	const char *stop[] = { program, "stop", PATHS_GRIDD_UNIT, NULL };
	struct run run = { .argv = ask, .timeout_s = ASK_S };
	cleanup(run_result_done) struct run_result result = { 0 };

	if (!run_find_systemctl(root, program, sizeof(program))) {
		*ret_changed = false;
		return 0;
	}
	if (run_question(runner, root, &run, INACTIVE_LAST, &result, err) < 0)
		return error_prefix(err, "asking for " PATHS_GRIDD_UNIT);
	if (result.status != 0) {
		*ret_changed = false;
		return 0;
	}

	run = (struct run){ .argv = stop, .timeout_s = STOP_S };
	if (run_checked(runner, root, &run, err) < 0)
		return error_prefix(err, "stopping " PATHS_GRIDD_UNIT);
	*ret_changed = true;
	return 0;
}
