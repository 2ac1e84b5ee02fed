/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The support archive of `doctor --bundle`: what a person needs who cannot log in. No
 * secret is in it: no token, no file of credentials, no user or query of a URL.
 */

#include "base/json.h"
#include "commands/agent.h"

/* `report` is the doctor's. `file` is the caller's, outside of the root. */
must_check int support_write(struct agent *agent, const struct json *report,
			     const char *file, struct error *err);
