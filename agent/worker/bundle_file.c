/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle_file.h"

#include <errno.h>

#include "base/text.h"

int bundle_file_read(int fd, uint64_t offset, void *ret_data, size_t size,
		     struct error *err)
{
	char *next = ret_data;

	while (size > 0) {
		ssize_t n = offset > INT64_MAX ? 0 : pread(fd, next, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "reading the archive");
		if (n == 0)
			return error_set(err, ERROR_INTEGRITY,
					 "the archive ends too early");
		next += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return 0;
}

void bundle_file_name(struct span name, char ret_name[static BUNDLE_NAME_MAX + 1])
{
	(void)span_copy(name, ret_name, BUNDLE_NAME_MAX + 1);
	for (size_t i = 0; i < name.len && i < BUNDLE_NAME_MAX; i++) {
		if (ret_name[i] == '\0')
			ret_name[i] = '?';
	}
	text_sanitize(ret_name);
}

int bundle_file_refuse(struct span name, const char *why, struct error *err)
{
	char clean[BUNDLE_NAME_MAX + 1];

	bundle_file_name(name, clean);
	return error_set(err, ERROR_INTEGRITY, "%.300s %s", clean[0] ? clean : "a member",
			 why);
}
