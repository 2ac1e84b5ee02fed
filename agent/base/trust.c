/* SPDX-License-Identifier: Apache-2.0 */
#include "base/trust.h"

#include <errno.h>
#include <fcntl.h>

static int judge(const struct stat *st, const char *path, enum trust trust,
		 struct error *err)
{
	if (!S_ISREG(st->st_mode))
		return error_set(err, ERROR_USAGE, "%s: no regular file", path);
	if (st->st_uid != 0 && st->st_uid != geteuid()) {
		(void)error_set(err, ERROR_USAGE, "%s: belongs to user %u", path,
				(unsigned)st->st_uid);
		return error_hint(err, "chown root: %s", path);
	}
	if (trust == TRUST_SECRET && st->st_mode & (S_IRWXG | S_IRWXO)) {
		(void)error_set(err, ERROR_USAGE,
				"%s holds a secret and others may read it", path);
		return error_hint(err, "chmod 600 %s", path);
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		(void)error_set(err, ERROR_USAGE, "%s: others may write it", path);
		return error_hint(err, "chmod go-w %s", path);
	}
	return 0;
}

int trust_open(const struct root *root, const char *path, enum trust trust, int *ret_fd,
	       struct error *err)
{
	cleanup_fd int fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, err);
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "looking at %s", path);
	if (judge(&st, path, trust, err) < 0)
		return -1;
	*ret_fd = take_fd(fd);
	return 0;
}
