/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "worker/bundle/bundle.h"
#include "worker/bundle/bundle_file.h"
#include "worker/digest.h"
#include "worker/job/job.h"
#include "worker/progress.h"

/* One member into the descriptor, hashed on the way. */
static int unpack(const struct json *request, const struct bundle *bundle,
		  const struct bundle_member *member, char *ret_sha256, struct error *err)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup(digest_done) struct digest digest = { .context = NULL };
	int64_t max_size = json_get_int(request, "max_size", 0);

	if (sink_file_begin(&file, (int)json_get_int(request, "output", -1), 0, err) <
		    0 ||
	    digest_begin(&digest, &file.sink, err) < 0)
		return -1;
	if (bundle_extract(bundle, member, max_size > 0 ? (uint64_t)max_size : 0,
			   progress_say, &digest.sink, err) < 0) {
		/* What is wrong is not left for anybody to take. */
		if (ftruncate(file.fd, 0) < 0)
			return error_hint(err, "what was unpacked of it is still there");
		return -1;
	}
	if (sink_file_end(&file, err) < 0)
		return -1;
	return digest_end(&digest, ret_sha256, err);
}

int job_unpack(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	const char *name = json_get_string(request, "member");
	struct bundle_file file;
	const struct bundle_member *member;
	char sha256[DIGEST_TEXT_SIZE];

	if (!name)
		return error_set(err, ERROR_INTERNAL, "the request names no member");
	if (bundle_file_begin(&file, (int)json_get_int(request, "input", -1), err) < 0 ||
	    bundle_open(&file.source, &bundle, err) < 0)
		return error_prefix(err, "the bundle");
	member = bundle_find(&bundle, name);
	if (!member)
		return error_set(err, ERROR_INTEGRITY, "the archive has no %.300s", name);
	if (unpack(request, &bundle, member, sha256, err) < 0)
		return -1;

	*ret_result = json_build("{s:s, s:I, s:s}", "member", name, "size",
				 (int64_t)member->size, "sha256", sha256);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "answering");
	return 0;
}
