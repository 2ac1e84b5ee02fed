/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel_shape.h"

#include <string.h>

#include "base/text.h"

/*
 * "name:kind ...". i number, h SHA-256, s text, b bool, a array, o object; S and O: or
 * null. worker/job/job.h says what they mean.
 */
static const struct shape {
	const char *job, *keys;
} shapes[] = {
	{ "list", "source:s verified:b files:a warnings:a catalog:O index:O "
		  "index_verified:b index_signed:b index_key:S" },
	{ "fetch", "size:i sha256:h bytes_transferred:i verified:b" },
	{ "copy", "size:i sha256:h bytes_transferred:i verified:b" },
	{ "member", "transfer:s member:o size:i sha256:s bytes_transferred:i verified:b "
		    "why:S" },
	{ "inspect", "kind:s version:S arch:S members:a" },
	{ "index", "kind:s version:S arch:S members:a size:i sha256:h" },
	{ "unpack", "member:s size:i sha256:h" },
	{ "modules", "size:i sha256:h manifest:o modules:a" },
	{ "pack", "size:i sha256:h manifest:o modules:a" },
	{ "metadata", "found:b object:o token:S token_source:S token_check:O sources:a "
		      "service:s warnings:a silent:b service_object:O "
		      "service_token_sha256:S" },
	{ "search", "contents:a" },
	{ "probe", "servers:a" },
	{ "certificate", "key_id:s name:s kind:s signs:b" },
	{ "layers", "user:i landlock:i filter:b own_network:b own_mounts:b" },
};

static bool is_sha256(const char *text)
{
	size_t digits = 0;

	while ((*text >= '0' && *text <= '9') || (*text >= 'a' && *text <= 'f')) {
		text++;
		digits++;
	}
	return digits == 64 && !*text;
}

static bool is_kind(char kind, const struct json *value)
{
	enum json_kind found = json_kind(value);

	switch (kind) {
	case 'i':
		return found == JSON_KIND_INT && json_as_int(value) >= 0;
	case 'h':
		return found == JSON_KIND_STRING && is_sha256(json_as_string(value));
	case 's':
		return found == JSON_KIND_STRING;
	case 'S':
		return found == JSON_KIND_STRING || found == JSON_KIND_NULL;
	case 'b':
		return found == JSON_KIND_BOOL;
	case 'a':
		return found == JSON_KIND_ARRAY;
	case 'o':
		return found == JSON_KIND_OBJECT;
	default:
		return found == JSON_KIND_OBJECT || found == JSON_KIND_NULL;
	}
}

struct walk {
	const char *keys;
	size_t seen;
	char wrong[64];
};

/* The kind of a key that is in the list; NUL: it is in none. */
static char kind_of(const char *keys, const char *key)
{
	size_t size = strlen(key);

	/* "files:a warnings" stands in the list, too, and is no name of a key. */
	if (strpbrk(key, ": "))
		return '\0';
	for (const char *at = keys; size && (at = strstr(at, key)); at += size) {
		if ((at == keys || at[-1] == ' ') && at[size] == ':')
			return at[size + 1];
	}
	return '\0';
}

static bool look_at(void *context, const char *key, const struct json *value)
{
	struct walk *walk = context;
	char kind = kind_of(walk->keys, key);

	if (kind && is_kind(kind, value)) {
		walk->seen++;
		return true;
	}
	if (!text_copy(walk->wrong, sizeof(walk->wrong), key) || !key[0])
		(void)text_copy(walk->wrong, sizeof(walk->wrong), "another key");
	text_sanitize(walk->wrong);
	return false;
}

static size_t count(const char *keys)
{
	size_t colons = 0;

	for (; *keys; keys++)
		colons += *keys == ':';
	return colons;
}

int channel_shape_check(const char *job, const struct json *result, struct error *err)
{
	struct walk walk = { .keys = NULL };

	for (size_t i = 0; job && i < ARRAY_SIZE(shapes); i++) {
		if (strcmp(shapes[i].job, job) == 0)
			walk.keys = shapes[i].keys;
	}
	if (json_kind(result) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INTERNAL, "the worker's answer is no object");
	if (!walk.keys)
		return 0; /* the report of a token: its reader knows */

	json_each(result, look_at, &walk);
	if (walk.wrong[0])
		return error_set(err, ERROR_INTERNAL,
				 "the worker's answer is none to \"%s\": %s", job,
				 walk.wrong);
	if (walk.seen != count(walk.keys))
		return error_set(err, ERROR_INTERNAL,
				 "the worker's answer is none to \"%s\": it lacks a key",
				 job);
	return 0;
}
