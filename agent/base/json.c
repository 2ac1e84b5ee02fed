/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include <errno.h>
#include <jansson.h>
#include <stdarg.h>
#include <string.h>

#include "base/text.h"

/*
 * The library tells a failed allocation as whatever it was at, "invalid token", or goes
 * on without the character that it had no room for. Whether there was one is seen here.
 */
static _Thread_local bool exhausted;

static void *allocate(size_t size)
{
	void *room = malloc(size);

	exhausted |= !room;
	return room;
}

/* struct json is never defined: its pointers are the library's. */
static json_t *in(struct json *json)
{
	return (json_t *)(void *)json;
}

static const json_t *in_const(const struct json *json)
{
	return (const json_t *)(const void *)json;
}

static struct json *out(json_t *value)
{
	return (struct json *)(void *)value;
}

struct json *json_build(const char *fmt, ...)
{
	json_error_t why;
	va_list args;
	json_t *value;

	va_start(args, fmt);
	value = json_vpack_ex(&why, 0, fmt, args);
	va_end(args);

	return out(value);
}

int json_append(struct json *array, struct json *item)
{
	return json_array_append_new(in(array), in(item));
}

int json_set(struct json *object, const char *key, struct json *item)
{
	return json_object_set_new(in(object), key, in(item));
}

void json_free(struct json *json)
{
	json_decref(in(json));
}

int json_parse(const char *text, size_t size, struct json **ret_json, struct error *err)
{
	json_error_t why;
	json_t *value;

	exhausted = false;
	json_set_alloc_funcs(allocate, free);
	value = json_loadb(text, size, JSON_REJECT_DUPLICATES, &why);
	if (exhausted) {
		json_decref(value);
		return error_set_errno(err, ENOMEM, "reading JSON");
	}
	if (!value) {
		/* `why.text` quotes what stands near; the text may be a secret. */
		return error_set(
			err, ERROR_INTERNAL,
			"no JSON: line %d, column %d is not what may stand there",
			why.line, why.column);
	}

	*ret_json = out(value);
	return 0;
}

/*
 * Not by json_dumps(): where memory is out that leaves a key out and goes on, as of
 * jansson 2.14.
 */
char *json_print(const struct json *json)
{
	const size_t flags = JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(6);
	size_t size = json_dumpb(in_const(json), NULL, 0, flags);
	char *text = size ? malloc(size + 1) : NULL;

	if (!text || json_dumpb(in_const(json), text, size, flags) != size) {
		free(text);
		return NULL;
	}
	text[size] = '\0';
	return text;
}

struct json *json_words(const char *text)
{
	return json_text(text, strlen(text));
}

struct json *json_words_or_null(const char *text)
{
	return text && text[0] ? json_words(text) : json_build("n");
}

struct json *json_text(const char *bytes, size_t size)
{
	static const char replacement[] = "\xef\xbf\xbd"; /* U+FFFD */
	cleanup_free char *clean = malloc(3 * size + 1);
	size_t used = 0;

	if (!clean)
		return NULL;

	for (size_t i = 0; i < size;) {
		size_t n = text_utf8_length(bytes + i, size - i);

		if (n == 0 || bytes[i] == '\0') {
			memcpy(clean + used, replacement, 3);
			used += 3;
			i++;
			continue;
		}
		memcpy(clean + used, bytes + i, n);
		used += n;
		i += n;
	}

	return out(json_stringn(clean, used));
}

const struct json *json_get(const struct json *object, const char *key)
{
	return (const struct json *)(const void *)json_object_get(in_const(object), key);
}

const char *json_get_string(const struct json *object, const char *key)
{
	return json_string_value(json_object_get(in_const(object), key));
}

const char *json_get_words(const struct json *object, const char *key)
{
	return json_as_string(json_get(object, key));
}

int64_t json_get_int(const struct json *object, const char *key, int64_t fallback)
{
	const json_t *value = json_object_get(in_const(object), key);

	return json_is_integer(value) ? json_integer_value(value) : fallback;
}

bool json_get_bool(const struct json *object, const char *key, bool fallback)
{
	const json_t *value = json_object_get(in_const(object), key);

	return json_is_boolean(value) ? json_is_true(value) : fallback;
}

double json_get_real(const struct json *object, const char *key, double fallback)
{
	const json_t *value = json_object_get(in_const(object), key);

	return json_is_number(value) ? json_number_value(value) : fallback;
}

bool json_same(const struct json *a, const struct json *b)
{
	return json_equal(in_const(a), in_const(b)) != 0;
}

enum json_kind json_kind(const struct json *json)
{
	if (!json)
		return JSON_KIND_NULL;
	switch (json_typeof(in_const(json))) {
	case JSON_OBJECT:
		return JSON_KIND_OBJECT;
	case JSON_ARRAY:
		return JSON_KIND_ARRAY;
	case JSON_STRING:
		return JSON_KIND_STRING;
	case JSON_INTEGER:
		return JSON_KIND_INT;
	case JSON_REAL:
		return JSON_KIND_REAL;
	case JSON_TRUE:
	case JSON_FALSE:
		return JSON_KIND_BOOL;
	case JSON_NULL:
	default:
		return JSON_KIND_NULL;
	}
}

struct json *json_take(struct json *object, const char *key)
{
	json_t *value = json_incref(json_object_get(in(object), key));

	(void)json_object_del(in(object), key);
	return out(value);
}

size_t json_count(const struct json *array)
{
	return json_array_size(in_const(array));
}

const struct json *json_at(const struct json *array, size_t index)
{
	return (const struct json *)(const void *)json_array_get(in_const(array), index);
}

const char *json_as_string(const struct json *json)
{
	const char *text = json_string_value(in_const(json));

	return text ? text : "";
}

int64_t json_as_int(const struct json *json)
{
	return json_integer_value(in_const(json));
}

bool json_as_bool(const struct json *json)
{
	return json_is_true(in_const(json));
}

void json_each(const struct json *object,
	       bool (*each)(void *context, const char *key, const struct json *value),
	       void *context)
{
	/* The library's iterators take no const, though they change nothing. */
	json_t *walked = (json_t *)(uintptr_t)object;

	for (void *at = json_object_iter(walked); at;
	     at = json_object_iter_next(walked, at)) {
		if (!each(context, json_object_iter_key(at),
			  (const struct json *)(const void *)json_object_iter_value(at)))
			return;
	}
}
