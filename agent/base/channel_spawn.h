/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How a worker is started: what it gets of our descriptors and of our environment, and
 * nothing else.
 */

#include <sys/types.h>

#include "base/error.h"

/*
 * `program` runs in a process group of its own, with the other end of `ret_fd` as
 * descriptor 3 and `fds` as 4, 5, ...
 */
must_check int channel_spawn(const char *program, const int *fds, size_t fd_count,
			     pid_t *ret_pid, int *ret_fd, struct error *err);
