/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Base64 of both alphabets (RFC 4648), strict about every byte and able to say which one
 * is wrong.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

enum base64_form {
	BASE64_MIME, /* '+' and '/', padding as it comes, blanks and line breaks skipped
		      */
	BASE64_URL,  /* '-' and '_', neither padding nor blanks: RFC 7515 */
};

/* What decoding a text of `size` bytes needs at most. */
#define BASE64_ROOM(size) ((size) / 4 * 3 + 3)

/* False with the offset of the first byte that may not stand there (the end: one
 * missing). */
bool base64_decode(struct span text, enum base64_form form, unsigned char *ret_data,
		   size_t *ret_size, size_t *ret_bad);
