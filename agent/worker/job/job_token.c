/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "worker/job/job.h"
#include "worker/token/jwt.h"

/* Up to `size` bytes from the file's beginning. */
static int read_some(int fd, char *data, size_t size, size_t *ret_size, struct error *err)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, data + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "reading the token");
		if (n == 0)
			break;
		used += (size_t)n;
	}
	*ret_size = used;
	return 0;
}

int job_token(const struct json *request, struct json **ret_result, struct error *err)
{
	int fd = (int)json_get_int(request, "input", -1);
	char text[JWT_SIZE_MAX + 1];
	struct stat st;
	size_t size = 0;
	int result;

	if (fd < 0)
		return jwt_refuse("missing", "there is no token", 0, ret_result, err);
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "reading the token");
	/* A descriptor that was read before, or a pipe, which has no beginning. */
	if (lseek(fd, 0, SEEK_SET) < 0 && errno != ESPIPE)
		return error_set_errno(err, errno, "reading the token");
	if (read_some(fd, text, sizeof(text), &size, err) < 0)
		return -1;

	if (size > JWT_SIZE_MAX)
		result = jwt_refuse("too_large", "it is larger than 64 KiB",
				    S_ISREG(st.st_mode) ? (uint64_t)st.st_size : size,
				    ret_result, err);
	else
		result = jwt_check((struct span){ text, size }, clock_now(), ret_result,
				   err);
	explicit_bzero(text, sizeof(text));
	return result;
}
