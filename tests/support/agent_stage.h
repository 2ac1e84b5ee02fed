/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An agent on a temporary system root, for the tests of commands/.
 */

#include "commands/agent.h"
#include "support/machine.h"
#include "support/stage.h"

/*
 * One agent at a time: it is too large for the stack. Its settings are the defaults, its
 * state is empty, and the worker is not there until a test says so.
 */
struct agent *agent_stage(const struct sysroot *sysroot, const struct options *options);

/*
 * The same in a guest with a passed-through GPU, whose commands are the machine's, and
 * for which no metadata are asked.
 */
struct agent *agent_stage_guest(const struct sysroot *sysroot,
				const struct options *options, struct machine *machine);

/* The same guest's next command. */
struct agent *agent_stage_again(const struct sysroot *sysroot,
				const struct options *options, struct machine *machine);

/* Ends what the command has left open; the root stays. */
void agent_stage_end(struct agent *agent);

/*
 * A worker that answers each job with its line of shell, to which descriptors 3, 4 ...
 * are open, and keeps its requests, a line each, in /requests. The last job is NULL.
 */
struct agent_stage_answer {
	const char *job, *shell;
};
void agent_stage_worker(struct agent *agent, const struct sysroot *sysroot,
			const struct agent_stage_answer *answers);
