/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Strings: made, compared, cleaned, and lists of them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macro.h"

/* snprintf() that says whether all of it fitted. */
bool text_format(char *buffer, size_t size, const char *fmt, ...) printf_like(3, 4);

/*
 * A path. One that does not fit becomes "", and so does one below a folder that is "":
 * no function of base/root.h takes that for a file, where a path that is cut off would
 * name another one.
 */
void text_path(char *buffer, size_t size, const char *fmt, ...) printf_like(3, 4);

/* A new string, or NULL when memory is out; the caller frees it. */
char *text_print(const char *fmt, ...) printf_like(1, 2);

/* A size for people, in the unit that fits: "12 B", "3.4 KiB", "340.0 MiB". */
#define TEXT_SIZE_MAX 24
void text_size(uint64_t bytes, char ret_text[static TEXT_SIZE_MAX]);

/* A plain string copy that fits or says so. */
bool text_copy(char *buffer, size_t size, const char *text);

/* What follows the last "/" of a path, in place: "" for a folder's "a/". */
const char *text_base_name(const char *path);

/* The bytes as lower-case hexadecimal digits; `ret_hex` holds 2 * size + 1 of them. */
void text_hex(const void *bytes, size_t size, char *ret_hex);

/* The value of a hexadecimal digit of either case; -1: the character is none. */
int text_hex_value(char c);

bool text_starts(const char *text, const char *prefix);
bool text_ends(const char *text, const char *suffix);

/*
 * Replaces what a terminal would obey (control characters) and what is no UTF-8 by '?',
 * in place.
 */
void text_sanitize(char *text);

/*
 * The length of the UTF-8 sequence that `bytes` begin with, or 0: overlong forms and
 * surrogates are none.
 */
size_t text_utf8_length(const char *bytes, size_t size);

/* Frees a NULL-terminated array and its strings. NULL is fine. */
void text_strv_free(char **strv);
static inline void text_strv_cleanup_(char ***strv)
{
	text_strv_free(*strv);
}
#define cleanup_strv cleanup(text_strv_cleanup_)

/* Edit distance of two short words, for "did you mean". */
unsigned text_distance(const char *a, const char *b);
