/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/channel.h"

#define PIPE_SIZE (1 << 20) /* so that both sides work at the same time */

/* What of a job's request the net worker needs to know. */
static const char *const nets_keys[] = { "http",    "url",   "repository",
					 "service", "ports", "link_local" };

/* The files of "http": credentials, and whom to trust about the peer. */
static const char *const nets_files[] = { "ca", "cert", "key", "netrc", "header" };

static bool is_nets_key(const char *key)
{
	for (size_t i = 0; i < ARRAY_SIZE(nets_keys); i++) {
		if (strcmp(nets_keys[i], key) == 0)
			return true;
	}
	return false;
}

/* Whether the job wants something of a server. */
static bool leads_to_server(const struct json *request)
{
	static const char *const urls[] = { "url", "repository", "service" };

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		if (json_get_string(request, urls[i]))
			return true;
	}
	return false;
}

static bool is_nets_file(const struct json *request, int number)
{
	const struct json *http = json_get(request, "http");

	for (size_t i = 0; i < ARRAY_SIZE(nets_files); i++) {
		if (json_get_int(http, nets_files[i], -1) == number)
			return true;
	}
	return false;
}

static void close_ends(int ends[2])
{
	for (size_t i = 0; i < 2; i++) {
		if (ends[i] >= 0)
			(void)close(ends[i]);
		ends[i] = -1;
	}
}

void channel_parts_done(struct channel_parts *parts)
{
	close_ends(parts->pipes[0]);
	close_ends(parts->pipes[1]);
	json_free(parts->net.request);
	json_free(parts->worker.request);
	parts->net.request = parts->worker.request = NULL;
}

struct copying {
	struct json *to;
	bool nets; /* the keys of the net worker, else all but its own "http" */
	bool failed;
};

static bool copy_key(void *context, const char *key, const struct json *value)
{
	struct copying *copying = context;
	bool wanted = copying->nets ? is_nets_key(key) : strcmp(key, "http") != 0;

	if (wanted && json_set(copying->to, key, json_build("O", value)) < 0)
		copying->failed = true;
	return !copying->failed;
}

/* A part of `request`, with the numbers of this process's ends of the pipes. */
static struct json *make_request(const struct json *request, bool nets, size_t count)
{
	int number = CHANNEL_FIRST_FILE + (int)count;
	cleanup_json struct json *part =
		json_build("{s:i, s:i}", "questions", number, "answers", number + 1);
	struct copying copying = { .to = part, .nets = nets };

	if (!part)
		return NULL;
	if (nets && json_set(part, "job", json_build("s", "serve")) < 0)
		return NULL;
	json_each(request, copy_key, &copying);
	return copying.failed ? NULL : take_ptr(part);
}

static int make_pipe(int ends[2], struct error *err)
{
	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "making a pipe for the workers");
	(void)fcntl(ends[1], F_SETPIPE_SZ, PIPE_SIZE); /* a user may have too many */
	return 0;
}

static void hand(struct channel_part *part, int fd)
{
	part->fds[part->count++] = fd;
}

/* The fetch worker and the net worker beside it. */
static int make_pair(const struct json *request, const int *fds, size_t count,
		     struct channel_parts *parts, struct error *err)
{
	if (make_pipe(parts->pipes[0], err) < 0 || make_pipe(parts->pipes[1], err) < 0)
		return -1;
	parts->worker.request = make_request(request, false, count);
	parts->net.request = make_request(request, true, count);
	if (!parts->worker.request || !parts->net.request)
		return error_set_errno(err, ENOMEM, "asking the workers");

	for (size_t i = 0; i < count; i++) {
		bool nets = is_nets_file(request, CHANNEL_FIRST_FILE + (int)i);

		hand(&parts->net, nets ? fds[i] : -1);
		hand(&parts->worker, nets ? -1 : fds[i]);
	}
	hand(&parts->net, parts->pipes[0][0]);
	hand(&parts->net, parts->pipes[1][1]);
	hand(&parts->worker, parts->pipes[0][1]);
	hand(&parts->worker, parts->pipes[1][0]);
	parts->net.online = true;
	return 0;
}

int channel_parts_make(const char *worker, const char *net, const struct json *request,
		       const int *fds, size_t count, struct channel_parts *ret_parts,
		       struct error *err)
{
	cleanup(channel_parts_done) struct channel_parts parts = CHANNEL_PARTS_INIT;

	if (count + 2 > CHANNEL_FILES_MAX)
		return error_set(err, ERROR_INTERNAL, "%zu files for the worker", count);
	parts.net.program = net;
	parts.worker.program = worker;
	if (net && leads_to_server(request)) {
		if (make_pair(request, fds, count, &parts, err) < 0)
			return -1;
	} else {
		parts.worker.online = net && json_get(request, "servers");
		if (parts.worker.online)
			parts.worker.program = net;
		parts.worker.request = json_build("O", request);
		for (size_t i = 0; i < count; i++)
			hand(&parts.worker, fds[i]);
	}

	*ret_parts = parts;
	parts = CHANNEL_PARTS_INIT;
	return 0;
}
