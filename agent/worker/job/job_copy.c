/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <strings.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"
#include "worker/digest.h"
#include "worker/job/job.h"
#include "worker/progress.h"

#define PIECE ((size_t)1 << 20)

/* Reads the whole descriptor by pread(2): the agent goes on using its offset. */
static int pump(int fd, struct sink *sink, uint64_t total, struct error *err)
{
	cleanup_free char *buffer = malloc(PIECE);
	uint64_t at = 0;
	size_t n;

	if (!buffer)
		return error_set_errno(err, ENOMEM, "reading the file");

	do {
		if (file_read_at(fd, at, buffer, PIECE, &n, err) < 0)
			return error_prefix(err, "the file");
		if (n > 0 && sink_write(sink, buffer, n, err) < 0)
			return -1;
		at += n;
		progress_say(at, total);
	} while (n == PIECE);
	return 0;
}

static int check_digest(const struct json *request, const struct digest *digest,
			const char *sha256, struct error *err)
{
	const char *expected = json_get_string(request, "sha256");
	int64_t size = json_get_int(request, "size", 0);

	if (size > 0 && digest->size != (uint64_t)size)
		return error_set(err, ERROR_INTEGRITY,
				 "the file has %ju bytes, expected were %jd",
				 (uintmax_t)digest->size, (intmax_t)size);
	if (expected && expected[0] && strcasecmp(expected, sha256) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "the file's SHA-256 is %s, expected was %s", sha256,
				 expected);
	return 0;
}

static int copy(const struct json *request, struct sink_file *file, struct digest *digest,
		char *ret_sha256, struct error *err)
{
	int input = (int)json_get_int(request, "input", -1);
	int output = (int)json_get_int(request, "output", -1);
	struct stat st;

	if (fstat(input, &st) < 0)
		return error_set_errno(err, errno, "reading the file");
	if (output >= 0 && sink_file_begin(file, output, 0, err) < 0)
		return -1;
	if (digest_begin(digest, output >= 0 ? &file->sink : NULL, err) < 0)
		return -1;

	if (pump(input, &digest->sink, (uint64_t)st.st_size, err) < 0)
		return -1;
	if (output >= 0 && sink_file_end(file, err) < 0)
		return -1;
	return digest_end(digest, ret_sha256, err);
}

int job_copy(const struct json *request, struct json **ret_result, struct error *err)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup(digest_done) struct digest digest = { .context = NULL };
	char sha256[DIGEST_TEXT_SIZE];

	if (copy(request, &file, &digest, sha256, err) < 0)
		return -1;
	if (check_digest(request, &digest, sha256, err) < 0) {
		/* What is wrong is not left for anybody to take. */
		if (file.buffer && ftruncate(file.fd, 0) < 0)
			return error_set_errno(err, errno, "dropping the bad copy");
		return -1;
	}

	*ret_result = json_build("{s:I, s:s, s:I, s:b}", "size", (int64_t)digest.size,
				 "sha256", sha256, "bytes_transferred",
				 (int64_t)digest.size, "verified", 0);
	if (!*ret_result)
		return error_set_errno(err, ENOMEM, "answering");
	return 0;
}
