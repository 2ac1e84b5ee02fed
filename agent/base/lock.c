/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>

#include "base/clock.h"

#define POLL_S 0.2

int lock_take(const struct root *root, const char *path, unsigned wait_s, int cancel_fd,
	      int *ret_fd, struct error *err)
{
	cleanup_fd int fd =
		root_open_at(root, path, O_RDWR | O_CREAT | O_NOFOLLOW, 0600, err);
	double end = clock_monotonic() + wait_s;
	bool last = wait_s == 0;

	if (fd < 0)
		return -1;

	/* flock() cannot be interrupted by a descriptor, so it is asked now and then. */
	while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return error_set_errno(err, errno, "locking %s", path);
		if (last) {
			(void)error_set(err, ERROR_BUSY,
					"another instance is at work (it holds %s)",
					path);
			return error_hint(err,
					  "wait for it to end and try again; "
					  "\"fuser -v %s\" names it",
					  path);
		}
		last = clock_monotonic() >= end;
		if (clock_sleep(POLL_S, cancel_fd, err) < 0)
			return -1;
	}

	*ret_fd = take_fd(fd);
	return 0;
}
