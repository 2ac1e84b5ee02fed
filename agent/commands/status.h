/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `status`: the license of every GPU, now or within a time.
 */

#include "base/json.h"
#include "commands/agent.h"

/*
 * Fills the contract's object, also on failure where there is something to say. Ends with
 * ERROR_NO_GPU, ERROR_DRIVER or ERROR_UNLICENSED. `wait_s` 0: one look.
 */
must_check int command_status_read(struct agent *agent, unsigned wait_s,
				   struct json **ret_report, struct error *err);

/* The same as {"schema":1,"metrics":TEXT}, in Prometheus' text exposition format. */
must_check int command_status_metrics(struct agent *agent, unsigned wait_s,
				      struct json **ret_report, struct error *err);
