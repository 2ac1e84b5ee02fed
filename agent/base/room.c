/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/text.h"

#define MIB (1024.0 * 1024.0)

/* What a program has left over that had no room for its next file: less than this much
 * and less than this part of the whole. */
#define FULL_BYTES (32 * MIB)
#define FULL_PART 8

/* The folder itself, or the nearest one above it that is there. */
static int open_nearest(const struct root *root, const char *path, struct error *err)
{
	char part[PATH_MAX];

	if (!text_copy(part, sizeof(part), path))
		return error_set_errno(err, ENAMETOOLONG, "looking at %s", path);
	for (;;) {
		struct error why = ERROR_INIT;
		int fd = root_open_at(root, part[0] ? part : "/", O_RDONLY | O_DIRECTORY,
				      0, &why);
		char *slash = strrchr(part, '/');

		if (fd >= 0)
			return fd;
		if ((why.errnum != ENOENT && why.errnum != ENOTDIR) || !slash) {
			*err = why;
			return -1;
		}
		*slash = '\0';
	}
}

int room_check(const struct root *root, const char *path, uint64_t bytes,
	       struct error *err)
{
	cleanup_fd int fd = open_nearest(root, path, err);
	struct statvfs fs;
	double free_bytes;

	if (fd < 0)
		return -1;
	if (fstatvfs(fd, &fs) < 0)
		return error_set_errno(err, errno, "looking for room in %s", path);
	free_bytes = (double)fs.f_bavail * (double)fs.f_frsize;
	if (free_bytes >= (double)bytes)
		return 0;

	(void)error_set(err, ERROR_PREREQUISITES,
			"no room in %s: %.0f MiB are free, %.0f MiB are needed", path,
			free_bytes / MIB, (double)bytes / MIB + 0.5);
	return error_hint(err, "make room on the file system of %s, then run again",
			  path);
}

/* For those who may use what is set aside for root, and for others. */
static double free_of(const struct statvfs *fs)
{
	return (double)(geteuid() == 0 ? fs->f_bfree : fs->f_bavail) *
	       (double)fs->f_frsize;
}

/* What is read-only by its kind is full all its life. */
static bool is_full(const struct root *root, const char *folder)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = open_nearest(root, folder, &ignored);
	struct statvfs fs;

	if (fd < 0 || fstatvfs(fd, &fs) < 0 || fs.f_flag & ST_RDONLY)
		return false;
	return (free_of(&fs) < FULL_BYTES &&
		free_of(&fs) < (double)fs.f_blocks * (double)fs.f_frsize / FULL_PART) ||
	       (fs.f_files > 0 && fs.f_ffree == 0);
}

int room_explain(const struct root *root, const char *const *folders, struct error *err)
{
	struct error failed = *err;

	for (; !err->interrupted && *folders; folders++) {
		if (!is_full(root, *folders))
			continue;
		(void)error_set(err, ERROR_PREREQUISITES, "%s; no room is left in %s",
				failed.text, *folders);
		return error_hint(err,
				  "make room on the file system of %s, then run again",
				  *folders);
	}
	return -1;
}
