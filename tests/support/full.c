/* SPDX-License-Identifier: Apache-2.0 */
#include "support/full.h"

#include <sys/statvfs.h>

bool full_now;

static int answer(struct statvfs *fs)
{
	*fs = (struct statvfs){ .f_frsize = 4096, .f_blocks = 1u << 20 };
	if (!full_now)
		fs->f_bfree = fs->f_bavail = fs->f_blocks;
	return 0;
}

int __wrap_fstatvfs(int fd, struct statvfs *fs);
int __wrap_fstatvfs(int fd, struct statvfs *fs)
{
	(void)fd;
	return answer(fs);
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs);
int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	(void)fd;
	return answer(fs);
}
