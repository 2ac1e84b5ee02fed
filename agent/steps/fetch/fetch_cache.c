/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/fetch_cache.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <sys/statvfs.h>

#include "base/text.h"
#include "model/paths.h"

/* The worker's answer to fetch and copy is foreign too: a hash is a hash or nothing. */
int fetch_cache_answer(const struct json *answer, const char *sha256, uint64_t size,
		       struct fetch_result *result, struct error *err)
{
	const char *found = json_get_string(answer, "sha256");
	int64_t found_size = json_get_int(answer, "size", -1);

	if (found_size < 0 || !found || !package_sha256(span_of(found), result->sha256))
		return error_set(err, ERROR_INTERNAL, "the worker's answer has no hash");
	if ((sha256[0] && strcasecmp(found, sha256) != 0) ||
	    (size && (uint64_t)found_size != size))
		return error_set(err, ERROR_INTEGRITY,
				 "the worker has other bytes: SHA-256 %s, %ju of them",
				 found, (uintmax_t)found_size);
	result->size = (uint64_t)found_size;
	result->bytes_transferred =
		(uint64_t)json_get_int(answer, "bytes_transferred", 0);
	return 0;
}

int fetch_cache_hash(int input_fd, int output_fd, const char *sha256,
		     const struct channel *channel, struct fetch_result *result,
		     struct error *err)
{
	int fds[2] = { input_fd, output_fd };
	cleanup_json struct json *answer = NULL;
	cleanup_json struct json *request =
		json_build("{s:s, s:i}", "job", "copy", "input", CHANNEL_FIRST_FILE);

	if (!request ||
	    (output_fd >= 0 &&
	     json_set(request, "output", json_build("i", CHANNEL_FIRST_FILE + 1)) < 0) ||
	    (sha256[0] && json_set(request, "sha256", json_build("s", sha256)) < 0))
		return error_set_errno(err, ENOMEM, "asking the worker");
	if (channel_call(channel, request, fds, output_fd >= 0 ? 2 : 1, &answer, err) < 0)
		return -1;
	return fetch_cache_answer(answer, sha256, 0, result, err);
}

int fetch_cache_room(const struct root *root, uint64_t need, struct error *err)
{
	cleanup_fd int fd =
		root_open_at(root, PATHS_CACHE, O_RDONLY | O_DIRECTORY, 0, err);
	struct statvfs fs;
	uint64_t have;

	if (fd < 0)
		return -1;
	if (fstatvfs(fd, &fs) < 0)
		return error_set_errno(err, errno, "asking for room in " PATHS_CACHE);
	have = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (have >= need)
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES,
			PATHS_CACHE ": %llu MiB free, the download needs %llu MiB",
			(unsigned long long)(have >> 20),
			(unsigned long long)(need >> 20) + 1);
	return error_hint(err, "make room on that file system");
}

int fetch_cache_open(const struct root *root, const char *path, bool keep,
		     struct error *err)
{
	int flags = O_RDWR | O_CREAT | O_NOFOLLOW | (keep ? 0 : O_TRUNC);

	if (root_mkdir(root, PATHS_CACHE, 0700, err) < 0)
		return -1;
	return root_open_at(root, path, flags, 0600, err);
}
