/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `fetch`: match and download only. The file lands in a folder of the
 * caller's under its own name.
 */

#include "base/json.h"
#include "commands/agent.h"

/* Needs no root where the caller may write: the cache is the folder's own then. */
must_check int command_fetch(struct agent *agent, const char *dir,
			     struct json **ret_report, struct error *err);
