/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/toolchain_ahead.h"

#include <string.h>

#include "base/log.h"
#include "driver/choose.h"
#include "driver/modules.h"
#include "driver/modules_prebuilt.h"
#include "steps/toolchain.h"

/* In the child: what it changes of the agent stays there. */
static int work(void *context, struct error *err)
{
	struct agent *agent = context;
	struct toolchain_system system = { .root = &agent->root,
					   .os = &agent->os,
					   .runner = &agent->runner,
					   .dkms = choose_dkms(agent),
					   .log_fd = agent->log_fd };

	for (size_t i = 0; i < agent->target_count; i++) {
		struct toolchain toolchain;

		if (!agent->target_done[i] &&
		    !modules_prebuilt_listed(agent, agent->targets[i].release) &&
		    toolchain_install(&system, &agent->targets[i], &toolchain, err) < 0)
			return -1;
	}
	return 0;
}

/* Whether something is missing for a kernel; then `ret_toolchain` says what. */
static bool is_missing(const struct agent *agent, struct toolchain *ret_toolchain)
{
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < agent->target_count; i++) {
		if (!agent->target_done[i] &&
		    !modules_prebuilt_listed(agent, agent->targets[i].release) &&
		    toolchain_find(&agent->root, &agent->targets[i], choose_dkms(agent),
				   ret_toolchain, &ignored) == 0 &&
		    ret_toolchain->missing[0])
			return true;
	}
	return false;
}

/* Nothing that a later step would refuse to begin with. */
static bool is_wanted(struct agent *agent)
{
	struct error ignored = ERROR_INIT;

	return !(agent->job & AGENT_FETCH) && agent->match.rule != MATCH_INSTALLED &&
	       !agent->package_path[0] &&
	       strcmp(agent->settings.driver.prerequisites, "install") == 0 &&
	       strcmp(agent->settings.driver.prebuilt, "only") != 0 &&
	       modules_check_secure_boot(agent, &ignored) == 0 &&
	       choose_look_at_targets(agent, agent->match.package.version, &ignored) == 0;
}

void toolchain_ahead_begin(struct agent *agent)
{
	struct error err = ERROR_INIT;
	struct toolchain toolchain;

	if (!is_wanted(agent) || !is_missing(agent, &toolchain))
		return;
	if (agent_need_log(agent, &err) < 0 ||
	    beside_start(&agent->preparing, work, agent, &err) < 0) {
		log_line(LOG_LEVEL_DEBUG, "preparing the build: %s", err.text);
		return;
	}
	log_line(LOG_LEVEL_NOTICE, "build      installing %s, beside what follows",
		 toolchain.missing);
}

int toolchain_ahead_end(struct agent *agent, struct error *err)
{
	return beside_wait(&agent->preparing, agent->runner.cancel_fd, err);
}
