/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/index.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "model/repository/manifest.h"

#define LOCAL_HEADER 30u /* bytes of a zip member's, without its name */
#define RATIO_MAX 1032u  /* the most that deflate can make of one byte */

void index_free(struct index *index)
{
	if (!index)
		return;
	for (size_t i = 0; i < index->file_count; i++)
		free(index->files[i].members);
	free(index->files);
	free(index->builds);
	free(index->warnings);
	json_free(index->modules);
	free(index);
}

static void add_warning(struct index *index, const char *where, const char *why)
{
	size_t size = sizeof(index->warnings[0]);

	if (index->warning_count < INDEX_WARNINGS_MAX)
		(void)text_format(index->warnings[index->warning_count++], size,
				  "%s %s: skipped", where, why);
}

/* A whole number from `least` on that also JavaScript could have written. */
static bool take_number(const struct json *json, const char *key, int64_t least,
			uint64_t *ret_number)
{
	int64_t number = json_get_int(json, key, -1);

	if (number < least || number > INDEX_NUMBER_MAX)
		return false;
	*ret_number = (uint64_t)number;
	return true;
}

static bool take_version(const struct json *json, const char *key,
			 char ret_version[static VERSION_MAX])
{
	const char *text = json_get_string(json, key);

	return text && version_valid(span_of(text)) &&
	       text_copy(ret_version, VERSION_MAX, text);
}

static bool take_arch(const struct json *json, char *ret_arch, size_t size)
{
	const char *text = json_get_string(json, "arch");

	return text && text[0] &&
	       text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
	       text_copy(ret_arch, size, text);
}

static bool is_null(const struct json *json, const char *key)
{
	return json_kind(json_get(json, key)) == JSON_KIND_NULL;
}

/* What files, members and archives of modules have alike; NULL, or what is wrong. */
static const char *take_common(const struct json *json, char ret_name[PACKAGE_NAME_MAX],
			       uint64_t *ret_size, char ret_sha256[PACKAGE_SHA256_SIZE])
{
	const char *name = json_get_string(json, "name");
	const char *sha256 = json_get_string(json, "sha256");

	if (!name)
		return "has no name";
	if (!manifest_path_is_safe(span_of(name)))
		return "has an unsafe name";
	if (!text_copy(ret_name, PACKAGE_NAME_MAX, name))
		return "has a name that is too long";
	if (!take_number(json, "size", 1, ret_size))
		return "has no size";
	if (!sha256 || !package_sha256(span_of(sha256), ret_sha256))
		return "has no SHA-256 of 64 hexadecimal digits";
	return NULL;
}

/* Kind, version and architecture of what can be installed as it is. */
static const char *take_driver(const struct json *json, enum package_kind *ret_kind,
			       char ret_version[VERSION_MAX], char *ret_arch, size_t size)
{
	*ret_kind = package_kind_named(json_get_string(json, "kind"));
	if (*ret_kind == PACKAGE_NONE || *ret_kind == PACKAGE_BUNDLE)
		return "is of no kind that is known";
	if (!take_version(json, "version", ret_version))
		return "has no version";
	if (!take_arch(json, ret_arch, size))
		return "has no architecture";
	return NULL;
}

static const char *take_place(const struct json *json, const struct index_file *file,
			      struct index_member *member)
{
	uint64_t method;

	if (!take_number(json, "offset", 0, &member->offset) ||
	    !take_number(json, "method", 0, &method) ||
	    !take_number(json, "compressed_size", 1, &member->compressed_size))
		return "does not say where it lies in the bundle";
	if (method != 0 && method != 8)
		return "is compressed by another method than deflate";
	if (member->offset + LOCAL_HEADER + strlen(member->name) +
		    member->compressed_size >
	    file->size)
		return "lies behind the end of the bundle";
	if (method == 0 ? member->size != member->compressed_size
			: member->size / RATIO_MAX > member->compressed_size)
		return "has sizes that contradict each other";

	member->method = (unsigned)method;
	return NULL;
}

static const char *read_member(const struct json *json, const struct index_file *file,
			       struct index_member *member)
{
	const char *why = take_common(json, member->name, &member->size, member->sha256);

	if (!why)
		why = take_driver(json, &member->kind, member->version, member->arch,
				  sizeof(member->arch));
	return why ? why : take_place(json, file, member);
}

/* NULL, or why the bundle is none that could be used. */
static const char *read_members(struct index *index, const char *where,
				const struct json *list, struct index_file *file)
{
	size_t count = json_count(list);

	if (json_kind(list) != JSON_KIND_ARRAY)
		return "has members that are no list";
	if (count > INDEX_MEMBERS_MAX)
		return "has too many members";
	file->members = calloc(count + 1, sizeof(*file->members));
	if (!file->members)
		return "";

	for (size_t i = 0; i < count; i++) {
		struct index_member member = { .kind = PACKAGE_NONE };
		const char *why = read_member(json_at(list, i), file, &member);
		char place[64];

		(void)text_format(place, sizeof(place), "%s.members[%zu]", where, i);
		if (why)
			add_warning(index, place, why);
		else if (index_find_member(file, member.name))
			return "has two members of one name";
		else
			file->members[file->member_count++] = member;
	}
	return NULL;
}

/* NULL, "" when memory is out, or what is wrong with the entry. */
static const char *read_file(struct index *index, const char *where,
			     const struct json *json, struct index_file *file)
{
	const char *why = take_common(json, file->name, &file->size, file->sha256);

	if (why)
		return why;
	if (!is_null(json, "host_version") &&
	    !take_version(json, "host_version", file->host_version))
		return "has a host version that is none";
	if (is_null(json, "members"))
		return take_driver(json, &file->kind, file->version, file->arch,
				   sizeof(file->arch));

	file->kind = PACKAGE_BUNDLE;
	return read_members(index, where, json_get(json, "members"), file);
}

static int out_of_memory(struct error *err)
{
	return error_set_errno(err, ENOMEM, "reading " INDEX_FILE);
}

static int take_file(struct index *index, size_t i, const struct json *json,
		     struct error *err)
{
	struct index_file *file = &index->files[index->file_count];
	const char *why;
	char where[32];

	(void)text_format(where, sizeof(where), "files[%zu]", i);
	why = read_file(index, where, json, file);
	if (!why) {
		index->file_count++;
		return 0;
	}

	free(file->members);
	*file = (struct index_file){ .kind = PACKAGE_NONE };
	if (!why[0])
		return out_of_memory(err);
	add_warning(index, where, why);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct index_file *)a)->name,
		      ((const struct index_file *)b)->name);
}

static int read_list(const struct json *json, const char *key,
		     const struct json **ret_list, struct error *err)
{
	*ret_list = json_get(json, key);
	if (json_kind(*ret_list) != JSON_KIND_NULL &&
	    json_kind(*ret_list) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INTEGRITY, INDEX_FILE ": %s is no list", key);
	if (json_count(*ret_list) > INDEX_FILES_MAX)
		return error_set(err, ERROR_INTEGRITY,
				 INDEX_FILE ": %s has more than %d entries", key,
				 INDEX_FILES_MAX);
	return 0;
}

static int refuse_twice(const char *name, struct error *err)
{
	return error_set(err, ERROR_INTEGRITY, INDEX_FILE " names %.200s twice", name);
}

static int read_files(struct index *index, const struct json *json, struct error *err)
{
	const struct json *list;

	if (read_list(json, "files", &list, err) < 0)
		return -1;
	index->files = calloc(json_count(list) + 1, sizeof(*index->files));
	if (!index->files)
		return out_of_memory(err);

	for (size_t i = 0; i < json_count(list); i++) {
		if (take_file(index, i, json_at(list, i), err) < 0)
			return -1;
	}

	qsort(index->files, index->file_count, sizeof(*index->files), by_name);
	for (size_t i = 1; i < index->file_count; i++) {
		if (by_name(&index->files[i - 1], &index->files[i]) == 0)
			return refuse_twice(index->files[i].name, err);
	}
	return 0;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int check_modules(const struct json *modules, struct error *err)
{
	size_t count = json_count(modules);
	cleanup_free const char **names = calloc(count + 1, sizeof(*names));

	if (!names)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++)
		names[i] = json_get_string(json_at(modules, i), "name");

	qsort(names, count, sizeof(*names), by_text);
	for (size_t i = 1; i < count; i++) {
		if (strcmp(names[i - 1], names[i]) == 0)
			return refuse_twice(names[i], err);
	}
	return 0;
}

/* What the guests know of an archive: other keys could be of any depth. */
static struct json *known_keys(const struct json *entry)
{
	static const char *const keys[] = { "name",      "version", "kernel", "vermagic",
					    "compiler",  "flavour", "arch",   "symbols",
					    "signed_by", "size",    "sha256" };
	cleanup_json struct json *known = json_build("{}");

	for (size_t i = 0; known && i < ARRAY_SIZE(keys); i++) {
		const struct json *value = json_get(entry, keys[i]);
		enum json_kind kind = json_kind(value);

		if ((kind == JSON_KIND_STRING || kind == JSON_KIND_INT) &&
		    json_set(known, keys[i], json_build("O", value)) < 0)
			return NULL;
	}
	return take_ptr(known);
}

static const char *take_archive(const struct json *json, struct index_file *entry)
{
	const char *why = take_common(json, entry->name, &entry->size, entry->sha256);

	return why ? why : text_ends(entry->name, ".tar.gz") ? NULL : "is no .tar.gz";
}

static int read_modules(struct index *index, const struct json *json, struct error *err)
{
	const struct json *list;

	if (read_list(json, "modules", &list, err) < 0)
		return -1;
	index->modules = json_build("[]");
	if (!index->modules)
		return out_of_memory(err);

	for (size_t i = 0; i < json_count(list); i++) {
		struct index_file entry = { .kind = PACKAGE_NONE };
		const char *why = take_archive(json_at(list, i), &entry);
		char where[32];

		(void)text_format(where, sizeof(where), "modules[%zu]", i);
		if (why)
			add_warning(index, where, why);
		else if (json_append(index->modules, known_keys(json_at(list, i))) < 0)
			return out_of_memory(err);
	}
	return check_modules(index->modules, err);
}

const char *index_build_from_json(const struct json *json, struct index_build *ret_build)
{
	const char *kernel = json_get_string(json, "kernel");
	const char *flavour = json_get_string(json, "flavour");
	const char *why = json_get_string(json, "why");

	if (!take_version(json, "version", ret_build->version))
		return "has no version";
	if (!kernel || !kernel_release_valid(span_of(kernel)) ||
	    !text_copy(ret_build->kernel, sizeof(ret_build->kernel), kernel))
		return "has no kernel";
	if (!flavour ||
	    (strcmp(flavour, "open") != 0 && strcmp(flavour, "proprietary") != 0))
		return "has no flavour";
	if (json_kind(json_get(json, "ok")) != JSON_KIND_BOOL)
		return "does not say whether it is ok";
	if (!is_null(json, "arch") &&
	    !take_arch(json, ret_build->arch, sizeof(ret_build->arch)))
		return "has an architecture that is none";

	ret_build->open = strcmp(flavour, "open") == 0;
	ret_build->ok = json_get_bool(json, "ok", false);
	(void)span_copy(span_of(why ? why : ""), ret_build->why, sizeof(ret_build->why));
	text_sanitize(ret_build->why);
	return NULL;
}

static int read_builds(struct index *index, const struct json *json, struct error *err)
{
	const struct json *list;

	if (read_list(json, "builds", &list, err) < 0)
		return -1;
	index->builds = calloc(json_count(list) + 1, sizeof(*index->builds));
	if (!index->builds)
		return out_of_memory(err);

	for (size_t i = 0; i < json_count(list); i++) {
		struct index_build build = { .ok = false };
		const char *why = index_build_from_json(json_at(list, i), &build);
		char where[32];

		(void)text_format(where, sizeof(where), "builds[%zu]", i);
		if (why)
			add_warning(index, where, why);
		else
			index->builds[index->build_count++] = build;
	}
	return 0;
}

static int fill_index(struct index *index, const struct json *json, struct error *err)
{
	const char *created = json_get_string(json, "created");
	const char *expires = json_get_string(json, "expires");
	uint64_t serial;

	if (json_kind(json) != JSON_KIND_OBJECT)
		return error_set(err, ERROR_INTEGRITY, INDEX_FILE " is no object");
	if (json_get_int(json, "schema", 0) != 1)
		return error_set(err, ERROR_INTEGRITY,
				 INDEX_FILE " is of another schema than 1");
	if (!take_number(json, "serial", 1, &serial))
		return error_set(err, ERROR_INTEGRITY,
				 INDEX_FILE " has no serial from 1 on");

	index->serial = (int64_t)serial;
	if (created && !text_copy(index->created, sizeof(index->created), created))
		index->created[0] = '\0';
	text_sanitize(index->created);
	if (json_get(json, "expires") &&
	    json_kind(json_get(json, "expires")) != JSON_KIND_NULL &&
	    (!expires || !text_copy(index->expires, sizeof(index->expires), expires)))
		return error_set(err, ERROR_INTEGRITY,
				 INDEX_FILE " has an \"expires\" that is no time");
	text_sanitize(index->expires);
	index->warnings = calloc(INDEX_WARNINGS_MAX, sizeof(*index->warnings));
	if (!index->warnings)
		return out_of_memory(err);
	if (read_files(index, json, err) < 0 || read_modules(index, json, err) < 0)
		return -1;
	return read_builds(index, json, err);
}

int index_from_json(const struct json *json, struct index **ret_index, struct error *err)
{
	cleanup_index struct index *index = calloc(1, sizeof(*index));

	if (!index)
		return out_of_memory(err);
	if (fill_index(index, json, err) < 0)
		return -1;

	*ret_index = take_ptr(index);
	return 0;
}

bool index_is_archive(const char *name)
{
	return text_starts(text_base_name(name), "nvidia-modules-") &&
	       text_ends(name, ".tar.gz");
}

bool index_is_note(const char *name)
{
	return text_starts(text_base_name(name), "nvidia-build-") &&
	       text_ends(name, ".json");
}

static int compare_name(const void *name, const void *file)
{
	return strcmp(name, ((const struct index_file *)file)->name);
}

const struct index_file *index_find(const struct index *index, const char *name)
{
	return index && index->file_count > 0
		       ? bsearch(name, index->files, index->file_count,
				 sizeof(*index->files), compare_name)
		       : NULL;
}

const struct index_member *index_find_member(const struct index_file *file,
					     const char *name)
{
	for (size_t i = 0; i < file->member_count; i++) {
		if (strcmp(file->members[i].name, name) == 0)
			return &file->members[i];
	}
	return NULL;
}

const struct index_member *index_choose(const struct index_file *file,
					const struct member_wish *wish)
{
	for (size_t i = 0; i < MEMBER_WISHES && wish->kinds[i] != PACKAGE_NONE; i++) {
		const struct index_member *found = NULL;
		size_t count = 0;

		for (size_t j = 0; j < file->member_count; j++) {
			const struct index_member *member = &file->members[j];

			if (member->kind != wish->kinds[i] ||
			    !member_fits_arch(member->arch, wish->arch))
				continue;
			found = member;
			count++;
		}
		if (count > 0)
			return count == 1 ? found : NULL;
	}
	return NULL;
}
