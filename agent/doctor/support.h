/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The support archive of `doctor --bundle`: what a person needs who cannot log in. No
 * secret is in it: no token, no file of credentials, no user or query of a URL.
 */

#include "base/json.h"
#include "core/context.h"

/* What another command has answered; `json` NULL: nothing. Both stay the caller's. */
struct support_report {
	const char *name; /* of its file in the archive */
	const struct json *json;
};

/* `file` is the caller's, outside of the root: it is there whole or not at all. */
must_check int support_write(const struct context *ctx,
			     const struct support_report *reports, size_t count,
			     const char *file, struct error *err);
