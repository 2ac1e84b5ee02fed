/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/index_merge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define NEVER "1970-01-01T00:00:00Z"

static int out_of_memory(struct error *err)
{
	return error_set_errno(err, ENOMEM, "making the index");
}

static const char *name_of(const struct json *entry)
{
	return json_get_words(entry, "name");
}

static bool has_name(const struct json *list, const char *name)
{
	for (size_t i = 0; i < json_count(list); i++) {
		if (strcmp(name_of(json_at(list, i)), name) == 0)
			return true;
	}
	return false;
}

static bool is_dropped(const struct index_merge *merge, const char *name)
{
	for (size_t i = 0; i < merge->drop_count; i++) {
		if (strcmp(merge->drops[i], name) == 0)
			return true;
	}
	return false;
}

int index_merge_check(const struct index_merge *merge, struct error *err)
{
	for (size_t i = 0; i < merge->drop_count; i++) {
		const char *name = merge->drops[i];

		if (has_name(merge->files, name) || has_name(merge->modules, name))
			return error_set(err, ERROR_USAGE,
					 "--drop %s: it is given as a file, too", name);
		if (!has_name(json_get(merge->previous, "files"), name) &&
		    !has_name(json_get(merge->previous, "modules"), name))
			return error_set(err, ERROR_USAGE,
					 "--drop %s: --previous does not name it", name);
	}
	return 0;
}

struct slot {
	const struct json *entry;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(name_of(((const struct slot *)a)->entry),
		      name_of(((const struct slot *)b)->entry));
}

/* The list `key`: entries of `previous` that stay, and those of `fresh`, by name. */
static struct json *merge_list(const struct index_merge *merge, const char *key,
			       const struct json *fresh)
{
	const struct json *before = json_get(merge->previous, key);
	size_t limit = json_count(before) + json_count(fresh), count = 0;
	cleanup_free struct slot *slots = calloc(limit + 1, sizeof(*slots));
	cleanup_json struct json *list = json_build("[]");

	if (!slots || !list)
		return NULL;
	for (size_t i = 0; i < json_count(before); i++) {
		const struct json *entry = json_at(before, i);

		/* One that moved from one list to the other is in the fresh one alone. */
		if (!is_dropped(merge, name_of(entry)) &&
		    !has_name(merge->files, name_of(entry)) &&
		    !has_name(merge->modules, name_of(entry)))
			slots[count++].entry = entry;
	}
	for (size_t i = 0; i < json_count(fresh); i++)
		slots[count++].entry = json_at(fresh, i);

	qsort(slots, count, sizeof(*slots), by_name);
	for (size_t i = 0; i < count; i++) {
		if (json_append(list, json_build("O", slots[i].entry)) < 0)
			return NULL;
	}
	return take_ptr(list);
}

static bool is_same_build(const struct json *one, const struct json *other)
{
	static const char *const keys[] = { "version", "kernel", "flavour" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const char *a = json_get_string(one, keys[i]);
		const char *b = json_get_string(other, keys[i]);

		if (!a || !b || strcmp(a, b) != 0)
			return false;
	}
	return true;
}

/* NULL: there is none. */
static const struct json *find_build(const struct json *list, const struct json *build)
{
	for (size_t i = 0; i < json_count(list); i++) {
		if (is_same_build(json_at(list, i), build))
			return json_at(list, i);
	}
	return NULL;
}

static int add_build(const struct json *build, const struct json *modules,
		     struct json *list)
{
	if (!json_get_bool(build, "ok", true) && find_build(modules, build))
		return 0;
	return json_append(list, json_build("O", build));
}

/* In the order of before, so that what is noted again is no news. */
static int merge_builds(const struct index_merge *merge, struct json *index)
{
	const struct json *before = json_get(merge->previous, "builds");
	const struct json *modules = json_get(index, "modules");
	cleanup_json struct json *list = json_build("[]");

	if (!list)
		return -1;
	for (size_t i = 0; i < json_count(before); i++) {
		const struct json *old = json_at(before, i);
		const struct json *new = find_build(merge->builds, old);

		if (add_build(new ? new : old, modules, list) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_count(merge->builds); i++) {
		const struct json *new = json_at(merge->builds, i);

		if (!find_build(before, new) && add_build(new, modules, list) < 0)
			return -1;
	}
	return json_count(list) > 0 ? json_set(index, "builds", take_ptr(list)) : 0;
}

/* Copies `key` of the previous document, if it has it. */
static int keep(const struct index_merge *merge, const char *key, struct json *index)
{
	const struct json *value = json_get(merge->previous, key);

	return json_kind(value) == JSON_KIND_NULL
		       ? 0
		       : json_set(index, key, json_build("O", value));
}

/* Whether a guest would learn anything from `index` that `previous` did not say. */
static bool is_news(const struct json *previous, const struct json *index)
{
	static const char *const keys[] = { "files", "modules", "builds", "expires" };

	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		const struct json *was = json_get(previous, keys[i]);
		const struct json *is = json_get(index, keys[i]);
		bool nothing = json_count(was) + json_count(is) == 0 &&
			       json_kind(was) != JSON_KIND_STRING &&
			       json_kind(is) != JSON_KIND_STRING;

		if (!nothing && !json_same(was, is))
			return true;
	}
	return false;
}

static const char *later(const char *a, const char *b)
{
	/* RFC 3339 in UTC is ordered as text; what is none of it has no say. */
	if (!a || !text_ends(a, "Z") || strlen(a) != strlen(NEVER))
		return b;
	return b && strcmp(b, a) > 0 ? b : a;
}

/* Serial and time, which depend on whether the rest is news. */
static int date(const struct index_merge *merge, struct json *index, struct error *err)
{
	const char *before = json_get_string(merge->previous, "created");
	int64_t serial = json_get_int(merge->previous, "serial", 0);
	bool news = is_news(merge->previous, index);
	const char *created = merge->epoch;

	if (!created && !news)
		created = before;
	if (!created)
		created = later(before, merge->newest);
	if (json_set(index, "serial",
		     json_build("I", news || !merge->previous ? serial + 1 : serial)) <
		    0 ||
	    json_set(index, "created", json_build("s", created ? created : NEVER)) < 0)
		return out_of_memory(err);
	return 0;
}

int index_merge(const struct index_merge *merge, struct json **ret_index,
		struct error *err)
{
	/* The first three keys get their place here: people read the head of the file. */
	cleanup_json struct json *index =
		json_build("{s:i, s:i, s:s}", "schema", 1, "serial", 0, "created", NEVER);
	int result;

	if (!index)
		return out_of_memory(err);
	if (index_merge_check(merge, err) < 0)
		return -1;

	if (!merge->expires)
		result = keep(merge, "expires", index);
	else if (merge->expires[0])
		result = json_set(index, "expires", json_build("s", merge->expires));
	else
		result = 0;
	if (result < 0 ||
	    json_set(index, "files", merge_list(merge, "files", merge->files)) < 0 ||
	    json_set(index, "modules", merge_list(merge, "modules", merge->modules)) <
		    0 ||
	    merge_builds(merge, index) < 0)
		return out_of_memory(err);
	if (date(merge, index, err) < 0)
		return -1;

	*ret_index = take_ptr(index);
	return 0;
}
