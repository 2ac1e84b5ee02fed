/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_file.h"

#include <errno.h>
#include <sys/stat.h>

#include "base/file.h"
#include "base/text.h"

int bundle_file_read(int fd, uint64_t offset, void *ret_data, size_t size,
		     struct error *err)
{
	size_t got;

	if (file_read_at(fd, offset, ret_data, size, &got, err) < 0)
		return error_prefix(err, "the archive");
	return got == size
		       ? 0
		       : error_set(err, ERROR_INTEGRITY, "the archive ends too early");
}

static int source_read(struct bundle_source *source, uint64_t offset, void *ret_data,
		       size_t size, struct error *err)
{
	return bundle_file_read(((struct bundle_file *)source)->fd, offset, ret_data,
				size, err);
}

int bundle_file_begin(struct bundle_file *file, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "reading the archive");
	*file = (struct bundle_file){
		.source = { .size = (uint64_t)st.st_size, .read = source_read },
		.fd = fd,
	};
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
