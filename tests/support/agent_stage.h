/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * An agent on a temporary system root, for the tests of commands/.
 */

#include "commands/agent.h"
#include "support/stage.h"

/*
 * One agent at a time: it is too large for the stack. Its settings are the defaults, its
 * state is empty, and the worker is not there until a test says so.
 */
struct agent *agent_stage(const struct sysroot *sysroot, const struct options *options);
