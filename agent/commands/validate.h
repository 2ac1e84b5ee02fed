/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `validate`: a verified GPU workload, as the documentation's transpose
 * example.
 */

#include "base/json.h"
#include "commands/agent.h"

/* `size`: of the matrix's side, 0 for the default. ERROR_DRIVER where it computed
 * wrongly. */
must_check int command_validate(struct agent *agent, unsigned size,
				struct json **ret_report, struct error *err);
