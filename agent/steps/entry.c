/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/entry.h"

#include <errno.h>

#include "base/text.h"
#include "model/driver/member.h"
#include "model/driver/package.h"
#include "model/repository/index.h"
#include "model/repository/prebuilt.h"

static int out_of_memory(struct error *err)
{
	return error_set_errno(err, ENOMEM, "making the index");
}

static int ask_worker_for_entry(const struct channel *channel, const char *job, int fd,
				const char *path, struct json **ret_answer,
				struct error *err)
{
	const char *name = text_base_name(path);
	cleanup_json struct json *request = json_build("{s:s, s:i, s:o}", "job", job,
						       "input", CHANNEL_FIRST_FILE,
						       "name", json_words(name));

	if (!request)
		return out_of_memory(err);
	return channel_call(channel, request, &fd, 1, ret_answer, err);
}

/* What vouches for it is the worker's alone: the archive's manifest does not know it. */
static int read_modules(const struct channel *channel, int fd, const char *name,
			struct json **ret_entry, struct error *err)
{
	cleanup_json struct json *answer = NULL, *manifest = NULL, *entry = NULL;
	struct prebuilt prebuilt;

	if (ask_worker_for_entry(channel, "modules", fd, name, &answer, err) < 0)
		return -1;
	manifest = json_take(answer, "manifest");
	if (!manifest || json_set(manifest, "name", json_words(name)) < 0)
		return out_of_memory(err);
	if (!prebuilt_from_json(manifest, &prebuilt))
		return error_set(err, ERROR_INTEGRITY, "its manifest.json is incomplete");

	entry = prebuilt_manifest(&prebuilt);
	json_free(json_take(entry, "schema"));
	if (!entry ||
	    json_set(entry, "size", json_build("I", json_get_int(answer, "size", 0))) <
		    0 ||
	    json_set(entry, "sha256",
		     json_build("s", json_get_string(answer, "sha256"))) < 0)
		return out_of_memory(err);
	*ret_entry = take_ptr(entry);
	return 0;
}

static int make_bundle(const struct package *package, const struct json *answer,
		       struct json **ret_entry, struct error *err)
{
	const struct json *members = json_get(answer, "members");

	if (json_count(members) == 0)
		return error_set(err, ERROR_INTEGRITY, "it holds no guest driver");
	*ret_entry = json_build("{s:s, s:I, s:s?, s:s, s:O}", "name", package->name,
				"size", json_get_int(answer, "size", 0), "sha256",
				json_get_string(answer, "sha256"), "host_version",
				package->host_version, "members", members);
	return *ret_entry ? 0 : out_of_memory(err);
}

/* A .run says itself what it is; of a .deb and .rpm the name does. */
static int make_package(const struct package *package, const struct json *answer,
			struct json **ret_entry, struct error *err)
{
	const char *version = json_get_string(answer, "version");
	const char *arch = json_get_string(answer, "arch");

	*ret_entry = json_build("{s:s, s:s, s:s, s:s, s:I, s:s?}", "name", package->name,
				"kind", package_kind_name(package->kind), "version",
				version ? version : package->version, "arch",
				arch ? arch : package->arch, "size",
				json_get_int(answer, "size", 0), "sha256",
				json_get_string(answer, "sha256"));
	return *ret_entry ? 0 : out_of_memory(err);
}

int entry_read(const struct channel *channel, int fd, const char *name,
	       struct json **ret_entry, bool *ret_modules, struct error *err)
{
	cleanup_json struct json *answer = NULL;
	struct package package;
	const char *why;

	*ret_modules = index_is_archive(name);
	if (*ret_modules)
		return read_modules(channel, fd, name, ret_entry, err);

	if (!package_parse(span_of(name), &package, &why)) {
		(void)error_set(err, ERROR_USAGE, "no guest takes it: %s", why);
		return error_hint(err, "name bundles, guest drivers and archives of "
				       "modules (nvidia-modules-*.tar.gz) by the names "
				       "that they were given");
	}
	if (ask_worker_for_entry(channel, "index", fd, name, &answer, err) < 0)
		return -1;
	if (package.kind != package_kind_named(json_get_string(answer, "kind")))
		return error_set(err, ERROR_INTEGRITY, "it is not what its name says");
	return package.kind == PACKAGE_BUNDLE
		       ? make_bundle(&package, answer, ret_entry, err)
		       : make_package(&package, answer, ret_entry, err);
}
