/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/bundle/bundle.h"
#include "worker/bundle/bundle_choice.h"
#include "worker/bundle/bundle_file.h"
#include "worker/digest.h"
#include "worker/job/job.h"
#include "worker/progress.h"

#define MEMBER_MAX (8ull << 30)

/*
 * Adds to the entry of a member: offset, method and packed size in the bundle, and the
 * SHA-256 of its unpacked bytes, for which the member is unpacked once.
 */
static int add_place(const struct bundle *bundle, struct json *entry, struct error *err)
{
	const char *name = json_get_words(entry, "name");
	const struct bundle_member *member = bundle_find(bundle, name);
	cleanup(digest_done) struct digest digest = { .context = NULL };
	char sha256[DIGEST_TEXT_SIZE];

	if (!member)
		return error_set(err, ERROR_INTEGRITY, "%.300s: its name is no text",
				 name);
	if (digest_begin(&digest, NULL, err) < 0 ||
	    bundle_extract(bundle, member, MEMBER_MAX, progress_say, &digest.sink, err) <
		    0 ||
	    digest_end(&digest, sha256, err) < 0)
		return -1;
	if (json_set(entry, "offset", json_build("I", (int64_t)member->offset)) < 0 ||
	    json_set(entry, "method", json_build("i", (int)member->method)) < 0 ||
	    json_set(entry, "compressed_size",
		     json_build("I", (int64_t)member->compressed_size)) < 0 ||
	    json_set(entry, "size", json_build("I", (int64_t)member->size)) < 0 ||
	    json_set(entry, "sha256", json_build("s", sha256)) < 0)
		return error_set_errno(err, ENOMEM, "reading the archive");
	return 0;
}

/* Each member of the bundle with its place and hash. */
static int place_members(int fd, const struct json *inspected, struct json *ret_members,
			 struct error *err)
{
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	const struct json *members = json_get(inspected, "members");
	struct bundle_file file;

	if (json_count(members) == 0)
		return 0; /* no bundle, or one without a guest driver */
	if (bundle_file_begin(&file, fd, err) < 0 ||
	    bundle_open(&file.source, &bundle, err) < 0)
		return -1;
	for (size_t i = 0; i < json_count(members); i++) {
		const struct json *known = json_at(members, i);
		cleanup_json struct json *entry =
			json_build("{s:s?, s:s?, s:s?, s:s?}", "name",
				   json_get_string(known, "name"), "kind",
				   json_get_string(known, "kind"), "version",
				   json_get_string(known, "version"), "arch",
				   json_get_string(known, "arch"));

		if (!entry)
			return error_set_errno(err, ENOMEM, "reading the archive");
		if (add_place(&bundle, entry, err) < 0)
			return -1;
		if (json_append(ret_members, take_ptr(entry)) < 0)
			return error_set_errno(err, ENOMEM, "reading the archive");
	}
	return 0;
}

static int hash(int fd, uint64_t *ret_size, char *ret_sha256, struct error *err)
{
	cleanup(digest_done) struct digest digest = { .context = NULL };
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "looking at the file");
	if (digest_begin(&digest, NULL, err) < 0 ||
	    digest_read_fd(&digest, fd, (uint64_t)st.st_size, err) < 0)
		return -1;
	*ret_size = (uint64_t)st.st_size;
	return digest_end(&digest, ret_sha256, err);
}

int job_index(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup_json struct json *result = NULL, *members = json_build("[]");
	int fd = (int)json_get_int(request, "input", -1);
	char sha256[DIGEST_TEXT_SIZE];
	uint64_t size;

	if (!members)
		return error_set_errno(err, ENOMEM, "reading the file");
	if (job_inspect(request, &result, err) < 0 ||
	    place_members(fd, result, members, err) < 0 ||
	    hash(fd, &size, sha256, err) < 0)
		return -1;
	if (json_set(result, "members", take_ptr(members)) < 0 ||
	    json_set(result, "size", json_build("I", (int64_t)size)) < 0 ||
	    json_set(result, "sha256", json_build("s", sha256)) < 0)
		return error_set_errno(err, ENOMEM, "reading the file");

	*ret_result = take_ptr(result);
	return 0;
}
