/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes that need not be NUL-terminated: lines, words and numbers in foreign text.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

struct span {
	const char *at;
	size_t len;
};

struct span span_of(const char *text);
struct span span_trim(struct span span); /* blanks, tabs, CR and LF at both ends */
bool span_equals(struct span span, const char *text);
bool span_starts(struct span span, const char *prefix);
bool span_ends(struct span span, const char *suffix);

/* Cuts `prefix` off the front; false and untouched when it is not there. */
bool span_skip(struct span *span, const char *prefix);

/* What follows the last "/". */
struct span span_base_name(struct span path);

/* Cuts the next line off `rest` (without its LF and one CR before it); false at the end.
 */
bool span_next_line(struct span *rest, struct span *ret_line);

/* Cuts at the first `separator`; false, with all in `ret_head`, when there is none. */
bool span_split(struct span span, char separator, struct span *ret_head,
		struct span *ret_tail);

/* Copies with a NUL; false, and what fits, when it does not fit. */
bool span_copy(struct span span, char *ret_text, size_t size);

/* The whole span as a decimal number without sign or blanks; false also on overflow. */
bool span_to_u64(struct span span, uint64_t *ret_value);
/* Tells two contents apart that nobody made alike on purpose (FNV-1a): no checksum. */
uint64_t span_hash(struct span span);
