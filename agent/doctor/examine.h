/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `doctor`: why it is not licensed or does not work.
 */

#include "base/json.h"
#include "commands/agent.h"

/*
 * The contract's object. Ends with the status of the likeliest cause, its message and its
 * hint; 0 where every GPU that needs a license has one.
 */
must_check int examine_guest(struct agent *agent, struct json **ret_report,
			     struct error *err);
