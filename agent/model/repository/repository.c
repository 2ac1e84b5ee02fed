/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/repository.h"

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"
#include "model/url.h"

#define PASSED_OVER_MAX 1000 /* only for people to read */
#define WARNINGS_MAX 100

void repository_done(struct repository *repository)
{
	free(repository->packages);
	free(repository->passed_over);
	free(repository->warnings);
	catalog_free(repository->catalog);
	index_free(repository->index);
	*repository = (struct repository){ .source = REPOSITORY_NONE };
}

static void pass_over(struct repository *repository, const char *name, const char *why)
{
	struct repository_other *other;

	if (repository->passed_over_count == PASSED_OVER_MAX)
		return;

	other = &repository->passed_over[repository->passed_over_count++];
	(void)text_copy(other->name, sizeof(other->name), name);
	(void)text_copy(other->why, sizeof(other->why), why);
	text_sanitize(other->name);
}

/* NULL, or in which way the index contradicts what is known of the file. */
static const char *contradiction(const struct package *package,
				 const struct index_file *entry)
{
	if (package->kind != entry->kind)
		return "its name contradicts " INDEX_FILE;
	if (package->size && package->size != entry->size)
		return "the manifest and " INDEX_FILE " give it different sizes";
	if (package->sha256[0] && strcmp(package->sha256, entry->sha256) != 0)
		return "the manifest and " INDEX_FILE " give it different SHA-256";
	return NULL;
}

static void take_version(struct package *package, const char *version, const char *arch)
{
	(void)text_copy(package->version, sizeof(package->version), version);
	(void)text_copy(package->arch, sizeof(package->arch), arch);
}

/* The index has read version and architecture in the file itself: they win over the
 * file's name. */
static void take_entry(struct package *package, const struct index_file *entry)
{
	const struct index_member *member = entry->members;

	package->size = entry->size;
	(void)text_copy(package->sha256, sizeof(package->sha256), entry->sha256);
	if (entry->kind != PACKAGE_BUNDLE) {
		take_version(package, entry->version, entry->arch);
		return;
	}

	if (entry->host_version[0])
		(void)text_copy(package->host_version, sizeof(package->host_version),
				entry->host_version);
	for (size_t i = 0; i < entry->member_count; i++) {
		if (member->kind != PACKAGE_RUN && entry->members[i].kind == PACKAGE_RUN)
			member = &entry->members[i];
	}
	if (entry->member_count > 0)
		take_version(package, member->version, member->arch);
}

/* `package` with name, size and hash, `entry` what the index has of it, or NULL. */
static void add_package(struct repository *repository, struct package *package,
			const struct index_file *entry)
{
	const char *why = entry ? contradiction(package, entry) : NULL;

	if (why) {
		pass_over(repository, package->name, why);
		return;
	}
	if (entry)
		take_entry(package, entry);
	repository->packages[repository->count++] = *package;
}

#define NOWHERE SIZE_MAX

/* Something that is looked for by its checksum, and its place in its own list. */
struct place {
	const char *sha256;
	size_t at;
};

/* While the index and the list of files are laid side by side. */
struct pairing {
	struct place *places; /* of the index's files, by checksum */
	const char **names;   /* of each file of the index the list's own; NULL: unseen */
	size_t unsigned_count;
};

static int by_sha256(const void *a, const void *b)
{
	return strcmp(((const struct place *)a)->sha256,
		      ((const struct place *)b)->sha256);
}

static size_t find_place(const struct place *places, size_t count, const char *sha256)
{
	const struct place wanted = { .sha256 = sha256 };
	const struct place *found =
		count ? bsearch(&wanted, places, count, sizeof(*places), by_sha256)
		      : NULL;

	return found ? found->at : NOWHERE;
}

static void pairing_done(struct pairing *pairing)
{
	free(pairing->places);
	free(pairing->names);
}

static int pairing_begin(const struct index *index, struct pairing *pairing)
{
	size_t count = index ? index->file_count : 0;

	pairing->places = calloc(count + 1, sizeof(*pairing->places));
	pairing->names = calloc(count + 1, sizeof(*pairing->names));
	if (!pairing->places || !pairing->names)
		return -1;
	for (size_t i = 0; i < count; i++)
		pairing->places[i] = (struct place){ index->files[i].sha256, i };
	qsort(pairing->places, count, sizeof(*pairing->places), by_sha256);
	return 0;
}

/* By its name, else by its checksum; NOWHERE: the index does not know the file. */
static size_t find_entry(const struct index *index, const struct pairing *pairing,
			 const char *name, const char *sha256)
{
	const struct index_file *entry = index_find(index, name);

	if (!index)
		return NOWHERE;
	if (entry)
		return (size_t)(entry - index->files);
	return sha256[0] ? find_place(pairing->places, index->file_count, sha256)
			 : NOWHERE;
}

/* A file of the list that is no archive of modules. */
static void add_listed(struct repository *repository, struct pairing *pairing,
		       const char *name, uint64_t size, const char *sha256)
{
	size_t at = find_entry(repository->index, pairing, name, sha256);
	const struct index_file *entry = at == NOWHERE ? NULL
						       : &repository->index->files[at];
	struct package package;
	const char *why;

	if (!package_parse(span_of(entry ? entry->name : name), &package, &why)) {
		pass_over(repository, name, why);
		return;
	}
	if (!entry && repository->index_signed) {
		pass_over(repository, name, "not in the signed " INDEX_FILE);
		pairing->unsigned_count++;
		return;
	}
	if (entry && pairing->names[at]) {
		pass_over(repository, name, "a copy of another file");
		return;
	}

	if (entry)
		pairing->names[at] = name;
	(void)text_copy(package.name, sizeof(package.name), name);
	package.size = size;
	(void)text_copy(package.sha256, sizeof(package.sha256), sha256);
	add_package(repository, &package, entry);
}

/* Files that only the index names. */
static void add_indexed(struct repository *repository, const struct pairing *pairing)
{
	const struct index *index = repository->index;

	for (size_t i = 0; index && i < index->file_count; i++) {
		const struct index_file *entry = &index->files[i];
		struct package package;
		const char *why;

		if (pairing->names[i])
			continue;
		if (repository->source == REPOSITORY_MANIFEST)
			pass_over(repository, entry->name,
				  "only in " INDEX_FILE
				  ": the manifest has no such file");
		else if (package_parse(span_of(entry->name), &package, &why))
			add_package(repository, &package, entry);
		else
			pass_over(repository, entry->name, why);
	}
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct index_file *)a)->name,
		      ((const struct index_file *)b)->name);
}

/* From here on the index knows its files by the names under which they lie. */
static void rename_entries(struct index *index, const struct pairing *pairing)
{
	for (size_t i = 0; index && i < index->file_count; i++) {
		if (pairing->names[i])
			(void)text_copy(index->files[i].name,
					sizeof(index->files[i].name), pairing->names[i]);
	}
	if (index)
		qsort(index->files, index->file_count, sizeof(*index->files), by_name);
}

static void add_warning(struct repository *repository, const char *text)
{
	char *warning;

	if (repository->warning_count == WARNINGS_MAX)
		return;

	warning = repository->warnings[repository->warning_count++];
	(void)text_copy(warning, sizeof(repository->warnings[0]), text);
	text_sanitize(warning);
}

static void warn_unsigned(struct repository *repository, size_t count)
{
	const struct index *index = repository->index;
	char text[sizeof(repository->warnings[0])];

	if (!index || count == 0)
		return;
	(void)text_format(text, sizeof(text),
			  "%zu driver%s not in the signed " INDEX_FILE " (serial %" PRId64
			  "%s%.10s): make and sign it again",
			  count, count == 1 ? " is" : "s are", index->serial,
			  index->created[0] ? ", of " : "", index->created);
	add_warning(repository, text);
}

static enum repository_source source_of(const struct json *json)
{
	const char *source = json_get_string(json, "source");

	if (source && strcmp(source, "manifest") == 0)
		return REPOSITORY_MANIFEST;
	if (source && strcmp(source, "listing") == 0)
		return REPOSITORY_LISTING;
	if (source && strcmp(source, "index") == 0)
		return REPOSITORY_INDEX;
	return REPOSITORY_NONE;
}

static void warn_archives(struct repository *repository, size_t count)
{
	char text[sizeof(repository->warnings[0])];

	if (count == 0)
		return;
	(void)text_format(text, sizeof(text),
			  INDEX_FILE " names %zu archive%s of modules that the manifest "
				     "does not have",
			  count, count == 1 ? "" : "s");
	add_warning(repository, text);
}

/* Leaves the archives in the index that the manifest has, under its names. */
static int pair_archives(struct repository *repository, const struct json *files,
			 struct place *archives, size_t count)
{
	cleanup_json struct json *modules = json_build("[]");
	struct index *index = repository->index;

	if (!index || repository->source != REPOSITORY_MANIFEST)
		return 0;
	if (!modules)
		return -1;
	qsort(archives, count, sizeof(*archives), by_sha256);
	for (size_t i = 0; i < json_count(index->modules); i++) {
		const struct json *entry = json_at(index->modules, i);
		const char *said = json_get_string(entry, "sha256");
		char sha256[PACKAGE_SHA256_SIZE] = ""; /* lower case, as the list's */
		size_t at = said && package_sha256(span_of(said), sha256)
				    ? find_place(archives, count, sha256)
				    : NOWHERE;
		cleanup_free char *text = at == NOWHERE ? NULL : json_print(entry);
		struct error ignored = ERROR_INIT;
		struct json *copy = NULL;

		if (at == NOWHERE)
			continue;
		if (!text || json_parse(text, strlen(text), &copy, &ignored) < 0 ||
		    json_set(copy, "name",
			     json_build("O", json_get(json_at(files, at), "name"))) < 0 ||
		    json_append(modules, copy) < 0)
			return -1;
	}

	warn_archives(repository, json_count(index->modules) - json_count(modules));
	json_free(index->modules);
	index->modules = take_ptr(modules);
	return 0;
}

static int check_listed(const struct json *file, struct error *err)
{
	const char *sha256 = json_get_string(file, "sha256");
	char hash[PACKAGE_SHA256_SIZE];

	if (!json_get_string(file, "name") || json_get_int(file, "size", 0) < 0 ||
	    (sha256 && sha256[0] && !package_sha256(span_of(sha256), hash)))
		return error_set(err, ERROR_INTERNAL,
				 "the list of the repository has an odd entry");
	return 0;
}

static int out_of_memory(struct error *err)
{
	return error_set_errno(err, ENOMEM, "listing the repository");
}

static int fill_files(struct repository *repository, const struct json *files,
		      struct error *err)
{
	size_t indexed = repository->index ? repository->index->file_count : 0;
	size_t count = json_count(files), archive_count = 0;
	cleanup_free struct place *archives = calloc(count + 1, sizeof(*archives));
	cleanup(pairing_done) struct pairing pairing = { .names = NULL };

	repository->packages = calloc(count + indexed + 1, sizeof(*repository->packages));
	if (!archives || !repository->packages ||
	    pairing_begin(repository->index, &pairing) < 0)
		return out_of_memory(err);
	for (size_t i = 0; i < count; i++) {
		const struct json *file = json_at(files, i);
		const char *name = json_get_string(file, "name");
		const char *sha256 = json_get_words(file, "sha256");

		if (check_listed(file, err) < 0)
			return -1;
		if (!index_is_archive(name))
			add_listed(repository, &pairing, name,
				   (uint64_t)json_get_int(file, "size", 0), sha256);
		else if (sha256[0])
			archives[archive_count++] = (struct place){ sha256, i };
	}

	add_indexed(repository, &pairing);
	rename_entries(repository->index, &pairing);
	warn_unsigned(repository, pairing.unsigned_count);
	return pair_archives(repository, files, archives, archive_count) < 0
		       ? out_of_memory(err)
		       : 0;
}

/* The index before the files: each file takes from the index what it lacks. */
static int fill_repository(struct repository *repository, const struct json *json,
			   struct error *err)
{
	const struct json *warnings = json_get(json, "warnings");
	const struct json *catalog = json_get(json, "catalog");
	const struct json *index = json_get(json, "index");
	const char *index_key = json_get_string(json, "index_key");

	repository->source = source_of(json);
	repository->verified = json_get_bool(json, "verified", false);
	repository->index_verified = json_get_bool(json, "index_verified", false);
	repository->index_signed = json_get_bool(json, "index_signed", false);
	if (index_key &&
	    !text_copy(repository->index_key, sizeof(repository->index_key), index_key))
		return error_set(err, ERROR_INTERNAL,
				 "the list of the repository has an odd key");
	repository->passed_over =
		calloc(PASSED_OVER_MAX, sizeof(*repository->passed_over));
	repository->warnings = calloc(WARNINGS_MAX, sizeof(*repository->warnings));
	if (!repository->passed_over || !repository->warnings)
		return error_set_errno(err, ENOMEM, "listing the repository");

	for (size_t i = 0; i < json_count(warnings); i++)
		add_warning(repository, json_as_string(json_at(warnings, i)));
	if (json_kind(index) == JSON_KIND_OBJECT &&
	    index_from_json(index, &repository->index, err) < 0)
		return -1;
	repository->index_signed &= repository->index != NULL;
	if (fill_files(repository, json_get(json, "files"), err) < 0)
		return -1;
	if (json_kind(catalog) == JSON_KIND_OBJECT)
		return catalog_from_json(catalog, &repository->catalog, err);

	return 0;
}

int repository_from_json(const struct json *json, struct repository *ret_repository,
			 struct error *err)
{
	struct repository repository = { .source = REPOSITORY_NONE };

	if (fill_repository(&repository, json, err) < 0) {
		repository_done(&repository);
		return -1;
	}

	*ret_repository = repository;
	return 0;
}

bool repository_file_url(const char *base, const char *name, char *ret_url, size_t size)
{
	size_t used;

	if (!text_format(ret_url, size, "%s%s", base, text_ends(base, "/") ? "" : "/"))
		return false;
	used = strlen(ret_url);
	return url_encode_path(name, ret_url + used, size - used);
}
