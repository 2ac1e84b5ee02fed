/* SPDX-License-Identifier: Apache-2.0 */
#include "fault/fault.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int remaining;
static bool fired;

void fault_arm(int nth)
{
	remaining = nth;
	fired = false;
}

bool fault_fired(void)
{
	return fired;
}

static bool fault_now(void)
{
	if (remaining == 0 || --remaining > 0)
		return false;
	fired = true;
	errno = EIO;
	return true;
}

ssize_t __real_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size);
ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	return fault_now() ? -1 : __real_write(fd, data, size);
}

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	return fault_now() ? -1 : __real_fsync(fd);
}

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_fdatasync(int fd)
{
	return fault_now() ? -1 : __real_fdatasync(fd);
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode)
{
	return fault_now() ? -1 : __real_fchmod(fd, mode);
}

int __real_renameat(int fromfd, const char *from, int tofd, const char *to);
int __wrap_renameat(int fromfd, const char *from, int tofd, const char *to);
int __wrap_renameat(int fromfd, const char *from, int tofd, const char *to)
{
	return fault_now() ? -1 : __real_renameat(fromfd, from, tofd, to);
}
