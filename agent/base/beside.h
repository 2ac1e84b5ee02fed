/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Work that goes on in a child process beside our own, and is waited for where its effect
 * is needed. What it learned does not come back, only whether it worked.
 */

#include <sys/types.h>

#include "base/error.h"

struct beside {
	pid_t pid; /* 0: none under way */
	int fd;
	double began;   /* of the monotonic clock */
	double seconds; /* that it took, once it was waited for */
	double waited;  /* how long we did nothing else than wait for it */
};

/*
 * `work` runs in a copy of this process, which then ends. Signals that we block and read
 * from a descriptor are blocked there, too, and that descriptor reads the copy's own: it
 * ends as we do. It gets SIGTERM when we die.
 */
must_check int beside_start(struct beside *beside,
			    int (*work)(void *context, struct error *err), void *context,
			    struct error *err);

/*
 * Waits for its end; its error is then ours. None under way: 0. Once `cancel_fd` (-1:
 * never) can be read, it gets SIGTERM, and the error is `interrupted` after it has ended.
 */
must_check int beside_wait(struct beside *beside, int cancel_fd, struct error *err);
