/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the worker's process begins.
 */

#include <sys/types.h>

#include "base/confine.h"
#include "base/error.h"

/* The worker's only argument is its layers, enum confine_layer, as one digit. */

/*
 * Starts `program` confined, in a session of its own, with the other end of `ret_fd` as
 * descriptor 3, `fds` as 4, 5, ..., and no other descriptor of ours. Of `confine` the
 * caller fills in what the job needs: online, file_size. A worker that cannot be confined
 * is not started.
 */
must_check int channel_spawn(const char *program, const struct confine *confine,
			     const int *fds, size_t fd_count, pid_t *ret_pid, int *ret_fd,
			     struct error *err);
