/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One instance at a time, by flock(2): the kernel drops it whatever happens to us.
 */

#include "base/error.h"
#include "base/root.h"

/*
 * Takes the lock and returns the descriptor that holds it. Where another process has
 * it: ERROR_BUSY at once, or after `wait_s` seconds of waiting.
 */
must_check int lock_take(const struct root *root, const char *path, unsigned wait_s,
			 int cancel_fd, int *ret_fd, struct error *err);

/*
 * The same with a lock that another version of the program takes, in a folder where every
 * user may make files. It is taken where it lies there already and is our user's alone:
 * a file that another user made or can open could stop us for ever. `ret_fd` stays as it
 * is where there is none.
 */
must_check int lock_take_former(const struct root *root, const char *path,
				unsigned wait_s, int cancel_fd, int *ret_fd,
				struct error *err);
