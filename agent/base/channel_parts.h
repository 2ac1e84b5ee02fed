/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which processes do a job, and what each of them is told and handed.
 *
 * Who has the network has no verdict: a job that goes to the network is done by two
 * processes with two pipes between them. The fetch worker has the job, the output and
 * everything else that the agent opened, and no network. The net worker has the network,
 * the credentials, and nothing else: raw bytes are all that it can give, to the fetch
 * worker alone, and the agent does not listen to it.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"

#define CHANNEL_FILES_MAX 60

/* One process. */
struct channel_part {
	const char *program;
	struct json *request; /* what it is asked; NULL: there is no such process */
	bool online;
	int fds[CHANNEL_FILES_MAX]; /* borrowed, become 4, 5, ... there; -1: none has that
				       number there */
	size_t count;
};

struct channel_parts {
	struct channel_part net, worker; /* the worker is who answers */
	int pipes[2][2];                 /* questions to `net`, and its answers */
};

#define CHANNEL_PARTS_INIT ((struct channel_parts){ .pipes = { { -1, -1 }, { -1, -1 } } })

/*
 * `worker` and `net` are the programs; without `net`, NULL, no job has a network. Two
 * processes do a job whose request names a server by "url", "repository" or "service";
 * one that only looks at "servers" has no verdict and is `net`'s alone. Descriptors keep
 * the numbers that stand in `request`, in whichever process they are; both processes find
 * the pipes by the keys "questions" and "answers" of their request.
 */
must_check int channel_parts_make(const char *worker, const char *net,
				  const struct json *request, const int *fds,
				  size_t count, struct channel_parts *ret_parts,
				  struct error *err);

/* Closes our copies of the pipes: once both processes run, each sees the other's end. */
void channel_parts_done(struct channel_parts *parts);
