/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The commands `plan` and `detect`: everything `run` would do and why, nothing done.
 */

#include "base/json.h"
#include "commands/agent.h"

/*
 * The contract's plan object. What `run` would die of is in its key "would_fail"; an
 * error only where the plan itself cannot be made (statuses 1, 2, 3, 5, 6 and 16).
 */
must_check int command_plan(struct agent *agent, struct json **ret_report,
			    struct error *err);

/* The contract's detect object, empty list and ERROR_NO_GPU without a GPU. */
must_check int command_detect(struct agent *agent, struct json **ret_report,
			      struct error *err);
