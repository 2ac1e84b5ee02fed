/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What fuzz targets share: an input in several parts, and a claim that no build leaves
 * out.
 */

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() is not there in an optimised build. */
static inline void fuzz_require(bool holds)
{
	if (!holds)
		abort();
}

/* The part before the first NUL byte, which is dropped; all of it where there is none. */
static inline struct span fuzz_part(struct span *rest)
{
	struct span part = *rest;

	if (!span_split(*rest, '\0', &part, rest))
		*rest = (struct span){ "", 0 };
	return part;
}

/* No byte that a terminal or a log would obey. */
static inline bool fuzz_is_printable(const char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return false;
	}
	return true;
}
