/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Signs of life for the agent: how far the job is. The agent ends a worker that says
 * nothing for long, so whoever waits calls progress_beat(). What the net worker says goes
 * to the fetch worker, which hands it on.
 */

#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

/* How a line goes out: channel_send(), or wire_say() of the net worker. */
typedef int progress_send(int fd, const char *kind, struct json *value,
			  struct error *err);

/* Where the lines go; before that, and for -1, nowhere. */
void progress_open(int fd, progress_send *send);

/*
 * {"progress":{"done":i,"total":i}}, at most some five times a second; `total` 0: not
 * known. A line that cannot be sent is dropped: the answer will tell.
 */
void progress_say(uint64_t done, uint64_t total);

/*
 * The same with "waiting":i, the seconds until the next try, when they are worth a line,
 * and "why":s, what the last one ended with.
 */
void progress_wait(double seconds, const char *why);

/*
 * {"progress":{"port":i,"host":s}}: a server sent us to a port that this worker may not
 * connect to. The agent decides whether a new worker may.
 */
void progress_port(unsigned port, const char *host);

/* Says the last figures again when nothing was said for some seconds. */
void progress_beat(void);
