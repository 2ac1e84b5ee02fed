/* SPDX-License-Identifier: Apache-2.0 */
#include "base/detached.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/mount.h>
#include <sys/syscall.h>

#include "base/text.h"

/* By system call: the libraries of older distributions have no names for these. */
static int configure(int context, unsigned command, const char *key, const char *value)
{
	return (int)syscall(SYS_fsconfig, context, command, key, value, 0);
}

/*
 * A device that is mounted for writing elsewhere shares that mount's state: the kernel
 * then refuses "ro" of the file system, and the mount itself is read-only all the same.
 */
static int create(const char *file_system, const char *source, bool shared)
{
	cleanup_fd int context =
		(int)syscall(SYS_fsopen, file_system, (unsigned)FSOPEN_CLOEXEC);

	if (context < 0 ||
	    configure(context, FSCONFIG_SET_STRING, "source", source) < 0 ||
	    (!shared && configure(context, FSCONFIG_SET_FLAG, "ro", NULL) < 0) ||
	    configure(context, FSCONFIG_CMD_CREATE, NULL, NULL) < 0)
		return -1;
	return (int)syscall(SYS_fsmount, context, (unsigned)FSMOUNT_CLOEXEC,
			    (unsigned)(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
				       MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC));
}

int detached_open(int device, const char *file_system, int *ret_folder, struct error *err)
{
	char source[64];
	int folder;

	text_path(source, sizeof(source), "/proc/self/fd/%d", device);
	folder = create(file_system, source, false);
	if (folder < 0 && errno == EBUSY)
		folder = create(file_system, source, true);
	if (folder < 0 && (errno == ENOSYS || errno == EPERM))
		return detached_apart_open(device, file_system, ret_folder, err);
	if (folder < 0)
		return error_set_errno(err, errno, "mounting it as %s", file_system);
	*ret_folder = folder;
	return 0;
}
