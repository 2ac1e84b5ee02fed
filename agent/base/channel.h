/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The talk between the agent and its worker: one JSON request in, JSON lines out.
 *
 * The worker is a child with the channel on descriptor 3 and the files that the
 * agent opened for it on 4, 5, ... Each line is an object:
 *   {"progress":{...}}   any number, for the agent's bar
 *   {"result":{...}}     the last one, or
 *   {"error":{"name":"network","message":"...","hint":"...","errnum":0}}
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

#define CHANNEL_FD 3 /* in the worker */
#define CHANNEL_FIRST_FILE 4
#define CHANNEL_LINE_MAX (11u << 20) /* bytes of one line, both ways */

/* How to reach a worker; the same for every call of one run. */
struct channel {
	const char *worker; /* path of the fetch worker's program */
	const char *net;    /* of the net worker's (base/channel_parts.h); NULL: no job
			       has a network */
	unsigned silence_s; /* a worker that says nothing for so long is ended */
	int cancel_fd;      /* readable: end the worker; -1: never */
	void (*progress)(void *context, const struct json *progress); /* may be NULL */
	/*
	 * A server sent the worker of `request` to another `port` of `host`, which it may
	 * not connect to (worker/sandbox.h): may a new one? NULL: never.
	 */
	bool (*may_connect)(void *context, const struct json *request, const char *host,
			    unsigned port);
	void *context;
};

/*
 * Starts a worker, asks `request` ({"job":"fetch", ...}, which stays the caller's), and
 * waits for its result, which the caller frees. `fds` become 4, 5, ... there. The
 * worker's error comes back as `err`; one that dies or babbles is ERROR_INTERNAL. A
 * worker that was sent to a port that it may not connect to is replaced by one that may,
 * a few times, where may_connect() says so: that one begins the job anew.
 */
must_check int channel_call(const struct channel *channel, const struct json *request,
			    const int *fds, size_t fd_count, struct json **ret_result,
			    struct error *err);

/* The worker's side. */
must_check int channel_receive(int fd, struct json **ret_request, struct error *err);
must_check int channel_send(int fd, const char *kind, struct json *value,
			    struct error *err); /* takes `value` */
must_check int channel_send_error(int fd, const struct error *error, struct error *err);

/* An error as it stands in such a line, NULL when memory is out; and back, into `err`:
 * always -1, whatever stands there. */
struct json *channel_error_json(const struct error *error);
int channel_error(const struct json *error, struct error *err);
