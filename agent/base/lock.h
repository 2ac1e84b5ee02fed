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
