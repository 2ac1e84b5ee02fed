/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"

#define PASSED_OVER_MAX 1000 /* only for people to read */
#define WARNINGS_MAX 100

void repository_done(struct repository *repository)
{
	free(repository->packages);
	free(repository->passed_over);
	free(repository->warnings);
	catalog_free(repository->catalog);
	*repository = (struct repository){ .source = REPOSITORY_NONE };
}

static bool sha256_is_good(const char *text)
{
	return text[0] == '\0' ||
	       (strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64);
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

static int add_file(struct repository *repository, const struct json *file,
		    struct error *err)
{
	const char *name = json_get_string(file, "name");
	const char *sha256 = json_get_string(file, "sha256");
	int64_t size = json_get_int(file, "size", 0);
	struct package package;
	const char *why;

	if (!name || size < 0 || (sha256 && !sha256_is_good(sha256)))
		return error_set(err, ERROR_INTERNAL,
				 "the list of the repository has an odd entry");

	if (!package_parse(span_of(name), &package, &why)) {
		pass_over(repository, name, why);
		return 0;
	}

	package.size = (uint64_t)size;
	(void)text_copy(package.sha256, sizeof(package.sha256), sha256 ? sha256 : "");
	repository->packages[repository->count++] = package;
	return 0;
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
	return REPOSITORY_NONE;
}

static int fill(struct repository *repository, const struct json *json, struct error *err)
{
	const struct json *files = json_get(json, "files");
	const struct json *warnings = json_get(json, "warnings");
	const struct json *catalog = json_get(json, "catalog");
	size_t count = json_count(files);

	repository->source = source_of(json);
	repository->verified = json_get_bool(json, "verified", false);
	repository->packages = calloc(count + 1, sizeof(*repository->packages));
	repository->passed_over =
		calloc(PASSED_OVER_MAX, sizeof(*repository->passed_over));
	repository->warnings = calloc(WARNINGS_MAX, sizeof(*repository->warnings));
	if (!repository->packages || !repository->passed_over || !repository->warnings)
		return error_set_errno(err, ENOMEM, "listing the repository");

	for (size_t i = 0; i < count; i++) {
		if (add_file(repository, json_at(files, i), err) < 0)
			return -1;
	}
	for (size_t i = 0; i < json_count(warnings); i++)
		add_warning(repository, json_as_string(json_at(warnings, i)));
	if (json_kind(catalog) == JSON_KIND_OBJECT)
		return catalog_from_json(catalog, &repository->catalog, err);

	return 0;
}

int repository_from_json(const struct json *json, struct repository *ret_repository,
			 struct error *err)
{
	struct repository repository = { .source = REPOSITORY_NONE };

	if (fill(&repository, json, err) < 0) {
		repository_done(&repository);
		return -1;
	}

	*ret_repository = repository;
	return 0;
}
