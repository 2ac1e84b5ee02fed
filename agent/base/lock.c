/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "base/clock.h"

#define POLL_S 0.2

static int refuse_busy(const char *path, struct error *err)
{
	(void)error_set(err, ERROR_BUSY, "another instance is at work (it holds %s)",
			path);
	return error_hint(err,
			  "wait for it to end and try again; "
			  "\"fuser -v %s\" names it",
			  path);
}

/* flock() cannot be interrupted by a descriptor, so it is asked now and then. */
static int wait_for(int fd, const char *path, unsigned wait_s, int cancel_fd,
		    struct error *err)
{
	double end = clock_monotonic() + wait_s;

	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set_errno(err, errno, "locking %s", path);
		if (clock_monotonic() >= end)
			return refuse_busy(path, err);
		if (clock_sleep(POLL_S, cancel_fd, err) < 0)
			return -1;
	}
	return 0;
}

int lock_take(const struct root *root, const char *path, unsigned wait_s, int cancel_fd,
	      int *ret_fd, struct error *err)
{
	cleanup_fd int fd =
		root_open_at(root, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);

	if (fd < 0 || wait_for(fd, path, wait_s, cancel_fd, err) < 0)
		return -1;
	*ret_fd = take_fd(fd);
	return 0;
}

/* Who can open a file can lock it. */
static bool is_ours_alone(int fd)
{
	struct stat st;

	return fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
	       (st.st_mode & (S_IRWXG | S_IRWXO)) == 0;
}

int lock_take_former(const struct root *root, const char *path, unsigned wait_s,
		     int cancel_fd, int *ret_fd, struct error *err)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd =
		root_open_at(root, path, O_RDWR | O_NOFOLLOW | O_NONBLOCK, 0, &ignored);

	if (fd >= 0 && is_ours_alone(fd)) {
		if (wait_for(fd, path, wait_s, cancel_fd, err) < 0)
			return -1;
		*ret_fd = take_fd(fd);
	}
	return 0;
}
