/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The preflight checks of `plan`: looks, no changes.
 */

#include "base/json.h"
#include "commands/agent.h"

/* `match`: the decision's error, NULL where there was none. NULL: no memory. */
struct json *command_preflight(struct agent *agent, const struct error *match,
			       enum error_code *ret_would_fail);
