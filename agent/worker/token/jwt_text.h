/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What copying and pasting does to a token's text, found before anything is decoded.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "base/span.h"

struct jwt_text {
	struct span token; /* without byte order mark and blanks at the ends */
	size_t offset;     /* of it in the file */
	bool broken;       /* an error was found: what follows from it need not be said */
	bool unreadable;   /* there is no use in decoding */
};

/* Appends {"code","severity","message"} to `problems`; -1 when memory is out. */
must_check int jwt_text_add(struct json *problems, const char *code, const char *severity,
			    const char *fmt, ...) printf_like(4, 5);

/* Reads the file's bytes; -1 when memory is out. */
must_check int jwt_text_read(struct span file, struct json *problems,
			     struct jwt_text *ret_text);
