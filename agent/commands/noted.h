/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernels that were installed while one of us was at work. The kernel hook, whose package
 * manager holds its own lock, never waits for ours: it leaves a note in PATHS_NOTED, and
 * whoever holds the lock builds for that kernel, too (contract, section 6).
 */

#include "commands/agent.h"

/* For a kernel that the command itself is asked for. */
void command_noted_forget(const struct root *root, const struct options *options);

/* Whether there is a note. */
bool command_noted_waits(const struct root *root);

/*
 * Builds for every kernel that is noted, one by one, with the lock held: as the command
 * `install` that the hook would have started, after `agent` has done its own. What fails
 * is a warning: the first boot of that kernel tries again. How many there were.
 */
size_t command_noted_build(const struct agent *agent, const struct request *request,
			   int cancel_fd);
