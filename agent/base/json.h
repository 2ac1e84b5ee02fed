/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * JSON values: built in one call, read by key, printed. The only room that knows
 * which library does it.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct json; /* a value with one owner */

/*
 * Builds a value from a format of jansson's json_pack(): "{s:i, s:s?, s:o}" and so on;
 * 'o' takes ownership, also on failure. Integers given for 'I' are int64_t. NULL when
 * memory is out, when a string is no UTF-8, or when a required child is NULL: so a
 * nest of calls needs one check.
 */
struct json *json_build(const char *fmt, ...);

/* Appends and takes ownership of `item`, also on failure and also when it is NULL. */
must_check int json_append(struct json *array, struct json *item);
must_check int json_set(struct json *object, const char *key, struct json *item);

void json_free(struct json *json);
static inline void json_cleanup_(struct json **json)
{
	json_free(*json);
}
#define cleanup_json cleanup(json_cleanup_)

/*
 * Text of foreign origin: at most `size` bytes, at most 64 deep, no duplicate keys. Where
 * memory was out errnum is ENOMEM: then nothing is known of the text.
 */
must_check int json_parse(const char *text, size_t size, struct json **ret_json,
			  struct error *err);

/*
 * One line without a final newline, keys in the order they were set; NULL when memory
 * is out. The caller frees it. Strings of foreign origin: pass them through json_text().
 */
char *json_print(const struct json *json);

/* A string value of any bytes: what is not UTF-8 becomes U+FFFD. */
struct json *json_text(const char *bytes, size_t size);
struct json *json_words(const char *text);

/* What is not known, NULL or "", is null. */
struct json *json_words_or_null(const char *text);

/* Borrowed values; NULL, `fallback` or 0 when the key is absent or of another type. */
const struct json *json_get(const struct json *object, const char *key);
const char *json_get_string(const struct json *object, const char *key);
const char *json_get_words(const struct json *object, const char *key); /* or "" */
int64_t json_get_int(const struct json *object, const char *key, int64_t fallback);
bool json_get_bool(const struct json *object, const char *key, bool fallback);
double json_get_real(const struct json *object, const char *key, double fallback);

enum json_kind {
	JSON_KIND_NULL,
	JSON_KIND_BOOL,
	JSON_KIND_INT,
	JSON_KIND_REAL,
	JSON_KIND_STRING,
	JSON_KIND_ARRAY,
	JSON_KIND_OBJECT,
};
enum json_kind json_kind(const struct json *json); /* of NULL: JSON_KIND_NULL */

/* Whether both say the same, whatever the order of keys. NULL equals nothing. */
bool json_same(const struct json *a, const struct json *b);

/* Takes a value out of its object; NULL when it is not there. */
struct json *json_take(struct json *object, const char *key);

size_t json_count(const struct json *array); /* 0 for anything but an array */
const struct json *json_at(const struct json *array, size_t index);

/* The value itself; "", 0 or false for another type. */
const char *json_as_string(const struct json *json);
int64_t json_as_int(const struct json *json);
bool json_as_bool(const struct json *json);

/* Walks an object's keys in order; stops when `each` returns false. */
void json_each(const struct json *object,
	       bool (*each)(void *context, const char *key, const struct json *value),
	       void *context);
