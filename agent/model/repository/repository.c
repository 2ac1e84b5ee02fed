/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/repository.h"

#include <errno.h>
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

	if (!entry && repository->index_signed)
		why = "not in the signed " INDEX_FILE;
	if (why) {
		pass_over(repository, package->name, why);
		return;
	}
	if (entry)
		take_entry(package, entry);
	repository->packages[repository->count++] = *package;
}

/* `seen`, by the index's files: what need not be added again. */
static int add_file(struct repository *repository, const struct json *file, bool *seen,
		    struct error *err)
{
	const char *name = json_get_string(file, "name");
	const char *sha256 = json_get_string(file, "sha256");
	int64_t size = json_get_int(file, "size", 0);
	const struct index *index = repository->index;
	const struct index_file *entry = NULL;
	char hash[PACKAGE_SHA256_SIZE] = "";
	struct package package;
	const char *why;

	if (!name || size < 0 ||
	    (sha256 && sha256[0] && !package_sha256(span_of(sha256), hash)))
		return error_set(err, ERROR_INTERNAL,
				 "the list of the repository has an odd entry");

	if (index)
		entry = index_find(index, name);
	if (entry)
		seen[entry - index->files] = true;
	if (!package_parse(span_of(name), &package, &why)) {
		pass_over(repository, name, why);
		return 0;
	}

	package.size = (uint64_t)size;
	memcpy(package.sha256, hash, sizeof(hash));
	add_package(repository, &package, entry);
	return 0;
}

/* Files that only the index names. */
static void add_indexed(struct repository *repository, const bool *seen)
{
	const struct index *index = repository->index;

	for (size_t i = 0; index && i < index->file_count; i++) {
		const struct index_file *entry = &index->files[i];
		struct package package;
		const char *why;

		if (seen[i])
			continue;
		if (package_parse(span_of(entry->name), &package, &why))
			add_package(repository, &package, entry);
		else
			pass_over(repository, entry->name, why);
	}
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

static int fill_files(struct repository *repository, const struct json *files,
		      struct error *err)
{
	size_t indexed = repository->index ? repository->index->file_count : 0;
	cleanup_free bool *seen = calloc(indexed + 1, sizeof(*seen));
	size_t count = json_count(files);

	repository->packages = calloc(count + indexed + 1, sizeof(*repository->packages));
	if (!seen || !repository->packages)
		return error_set_errno(err, ENOMEM, "listing the repository");
	for (size_t i = 0; i < count; i++) {
		if (add_file(repository, json_at(files, i), seen, err) < 0)
			return -1;
	}
	add_indexed(repository, seen);
	return 0;
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
