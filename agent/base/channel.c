/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/channel_parts.h"
#include "base/channel_shape.h"
#include "base/channel_spawn.h"
#include "base/deadline.h"
#include "base/file.h"
#include "base/text.h"

#define LOADER_FAILED 127 /* ld.so's own exit status */
#define EXIT_GRACE_S 5.0  /* from the answer, or from SIGTERM, to the end */
/* A day of progress, five lines a second, and the longest answer. */
#define LINES_MAX 500000u
#define BYTES_MAX ((size_t)128 << 20)
#define PORTS_MAX 4                 /* that a server may send us to in one call */
#define FILE_SIZE_SLACK (1u << 20)  /* so that the worker's own words tell of too much */
#define FILE_SIZE_MAX (16ull << 30) /* where the job says no limit */

struct channel_files {
	const int *fds;
	size_t count;
};

/* One running worker, ended with everything it started when it goes out of scope. */
struct child {
	const struct channel *channel;
	const char *program;
	pid_t pid;               /* 0: none, or reaped */
	int fd;                  /* our end of the talk */
	struct deadline silence; /* since the worker last took or said something */
	char *buffer;
	size_t used, capacity;
	size_t lines, bytes; /* that it has said */
	const struct json *request;
	unsigned port; /* that it was sent to and a new one may connect to; 0: none */
};

static void child_end(struct child *child)
{
	if (child->pid > 0) {
		(void)kill(-child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			continue;
	}
	if (child->fd >= 0)
		(void)close(child->fd);
	free(child->buffer);
}

/* The largest file that this job may write; next to nothing where it is given none. */
static uint64_t file_size(const struct json *request)
{
	int64_t size = json_get_int(request, "max_size", 0);
	int64_t member = json_get_int(request, "max_member", 0);

	if (!json_get(request, "output") && !json_get(request, "outputs"))
		return FILE_SIZE_SLACK;
	if (size < member)
		size = member;
	return size > 0 ? (uint64_t)size + FILE_SIZE_SLACK : FILE_SIZE_MAX;
}

static int child_start(struct child *child, const struct channel_part *part,
		       struct error *err)
{
	struct confine confine = { .parent = 0 };

	(void)confine_begin(&confine); /* doctor tells of a missing user */
	child->program = confine.program = part->program;
	confine.online = part->online;
	confine.fds = (unsigned)part->count;
	confine.file_size = file_size(part->request);
	if (channel_spawn(part->program, &confine, part->fds, part->count, &child->pid,
			  &child->fd, err) < 0)
		return -1;
	child->silence = deadline_in(child->channel->silence_s);
	return 0;
}

/* Waits until the worker can be written to or has said something. */
static int child_wait(struct child *child, short events, struct error *err)
{
	for (;;) {
		struct pollfd polls[] = {
			{ .fd = child->fd, .events = events },
			{ .fd = child->channel->cancel_fd, .events = POLLIN },
		};
		int n = poll(polls, ARRAY_SIZE(polls), deadline_poll_ms(&child->silence));
		bool late = deadline_passed(&child->silence);

		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "waiting for the worker");
		if (n > 0)
			return polls[1].revents ? error_set_interrupted(err) : 0;
		if (late)
			return error_set(err, ERROR_INTERNAL,
					 "the worker said nothing for %u s",
					 (unsigned)child->channel->silence_s);
	}
}

static int child_ask(struct child *child, const struct json *request, struct error *err)
{
	cleanup_free char *line = json_print(request);
	size_t size, sent = 0;

	if (!line)
		return error_set_errno(err, ENOMEM, "asking the worker");

	size = strlen(line);
	line[size++] = '\n'; /* in the place of the NUL: it is sent by its size */
	while (sent < size) {
		ssize_t n = send(child->fd, line + sent, size - sent,
				 MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n > 0) {
			sent += (size_t)n;
			child->silence = deadline_in(child->channel->silence_s);
		} else if (n < 0 && (errno == EPIPE || errno == ECONNRESET)) {
			return 0; /* it ended early: what it said first tells why */
		} else if (n < 0 && errno != EAGAIN && errno != EINTR) {
			return error_set_errno(err, errno, "asking the worker");
		} else if (child_wait(child, POLLOUT, err) < 0) {
			return -1;
		}
	}

	return 0;
}

/* Room for more of a line; a worker's line is bounded, so that a broken one cannot eat
 * us. */
static int child_grow(struct child *child, struct error *err)
{
	size_t capacity = child->capacity ? child->capacity * 2 : 16384;
	char *buffer;

	if (child->used < child->capacity)
		return 0;
	if (child->used >= CHANNEL_LINE_MAX)
		return error_set(err, ERROR_INTERNAL,
				 "the worker sent a line of more than %u bytes",
				 CHANNEL_LINE_MAX);
	buffer = realloc(child->buffer, capacity);
	if (!buffer)
		return error_set_errno(err, ENOMEM, "hearing the worker");

	child->buffer = buffer;
	child->capacity = capacity;
	return 0;
}

/* Reaps the worker. `ret_status` is as waitpid(2) gives it; -1 when it had to be killed.
 */
static void child_reap(struct child *child, int *ret_status)
{
	struct deadline grace = deadline_in(EXIT_GRACE_S);
	int status = -1;
	pid_t pid;

	while ((pid = waitpid(child->pid, &status, WNOHANG)) != child->pid) {
		if ((pid < 0 && errno != EINTR) || deadline_passed(&grace)) {
			*ret_status = -1;
			return; /* child_end() kills it */
		}
		(void)poll(NULL, 0, 5);
	}

	/* What it may have started must not outlive it. */
	(void)kill(-child->pid, SIGKILL);
	child->pid = 0;
	*ret_status = status;
}

static void describe(int status, char *buffer, size_t size)
{
	if (status < 0)
		(void)text_format(buffer, size, "did not end");
	else if (WIFSIGNALED(status))
		(void)text_format(buffer, size, "was killed by signal %d",
				  WTERMSIG(status));
	else
		(void)text_format(buffer, size, "ended with exit status %d",
				  WEXITSTATUS(status));
}

/* What a person can do about a worker that ended so; its own words went nowhere. */
static int hint_ended(const struct child *child, int status, struct error *err)
{
	if (status >= 0 && WIFEXITED(status) && WEXITSTATUS(status) == LOADER_FAILED)
		return error_hint(err, "a library may be missing or too old: see ldd %s",
				  child->program);
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS)
		return error_hint(err,
				  "it asked the kernel for what it may not: please "
				  "report this with the audit line of journalctl -k");
	if (status >= 0 && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return error_hint(err, "the kernel ends programs when memory runs out: "
				       "see journalctl -k");
	return -1;
}

/* The line ended without an answer. */
static int child_lost(struct child *child, struct error *err)
{
	char how[64];
	int status;

	child_reap(child, &status);
	describe(status, how, sizeof(how));
	(void)error_set(err, ERROR_INTERNAL, "the worker %s %s", how,
			child->used ? "in the middle of a line" : "without an answer");
	return hint_ended(child, status, err);
}

static int child_babbles(struct error *err)
{
	return error_set(err, ERROR_INTERNAL, "the worker does not stop talking");
}

/* Moves the next line into `ret_json`. */
static int child_hear(struct child *child, struct json **ret_json, struct error *err)
{
	size_t seen = 0;
	char *end;
	ssize_t n;

	while (!child->used ||
	       !(end = memchr(child->buffer + seen, '\n', child->used - seen))) {
		seen = child->used;
		if (child_grow(child, err) < 0 || child_wait(child, POLLIN, err) < 0)
			return -1;
		n = recv(child->fd, child->buffer + child->used,
			 child->capacity - child->used, MSG_DONTWAIT);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			continue;
		if (n <= 0)
			return child_lost(child, err);
		child->used += (size_t)n;
		child->silence = deadline_in(child->channel->silence_s);
		if ((child->bytes += (size_t)n) > BYTES_MAX)
			return child_babbles(err);
	}
	if (++child->lines > LINES_MAX)
		return child_babbles(err);

	if (json_parse(child->buffer, (size_t)(end - child->buffer), ret_json, err) < 0) {
		(void)error_recode(err, ERROR_INTERNAL);
		return error_prefix(err, "the worker sent no JSON");
	}
	child->used -= (size_t)(end + 1 - child->buffer);
	memmove(child->buffer, end + 1, child->used);
	return 0;
}

int channel_error(const struct json *error, struct error *err)
{
	const char *message = json_get_words(error, "message");

	(void)error_set(err, error_code_from_name(json_get_words(error, "name")), "%s",
			message[0] ? message : "the worker failed without words");
	(void)error_hint(err, "%s", json_get_words(error, "hint"));
	err->errnum = (int)json_get_int(error, "errnum", 0);
	return error_passing(err, json_get_bool(error, "passing", err->passing));
}

/* After its answer a good worker ends with 0 at once; a crash then is a defect, not a
 * result. */
static int child_finish(struct child *child, struct error *err)
{
	char how[64];
	int status;

	child_reap(child, &status);
	if (status == 0 && (child->used || recv(child->fd, how, 1, MSG_DONTWAIT) > 0))
		return error_set(err, ERROR_INTERNAL,
				 "the worker answered, and said more");
	if (status == 0)
		return 0;
	describe(status, how, sizeof(how));
	return error_set(err, ERROR_INTERNAL, "the worker answered, but %s", how);
}

/* A server has sent the worker elsewhere: `line` says whereto. */
static void child_sent(struct child *child, const struct json *line)
{
	const struct channel *channel = child->channel;
	int64_t port = json_get_int(line, "port", 0);
	const char *said = json_get_string(line, "host");
	char host[256]; /* of DNS, no longer name can be */

	if (port <= 0 || port > UINT16_MAX || !said || !said[0] ||
	    !text_copy(host, sizeof(host), said))
		return;
	text_sanitize(host);
	if (channel->may_connect &&
	    channel->may_connect(channel->context, child->request, host, (unsigned)port))
		child->port = (unsigned)port;
}

/* 1: this line was the answer, now in `ret_result`; 0: listen on. */
static int child_take(struct child *child, struct json *line, struct json **ret_result,
		      struct error *err)
{
	const struct channel *channel = child->channel;
	cleanup_json struct json *result = json_take(line, "result");
	const struct json *value;

	if (result) {
		if (child_finish(child, err) < 0 ||
		    channel_shape_check(json_get_string(child->request, "job"), result,
					err) < 0)
			return -1;
		*ret_result = take_ptr(result);
		return 1;
	}

	if ((value = json_get(line, "progress"))) {
		if (json_get(value, "port"))
			child_sent(child, value);
		else if (channel->progress)
			channel->progress(channel->context, value);
		return 0;
	}

	if ((value = json_get(line, "error"))) {
		child_reap(child, &(int){ 0 });
		return channel_error(value, err);
	}

	return error_set(err, ERROR_INTERNAL,
			 "the worker sent a line of an unknown kind");
}

/* `again` becomes a request of its own with one more port. */
static int more_ports(struct json **again, const struct json *request, unsigned port)
{
	cleanup_free char *text = *again ? NULL : json_print(request);
	cleanup_json struct json *ports = NULL;
	struct error err = ERROR_INIT;

	if (!*again && (!text || json_parse(text, strlen(text), again, &err) < 0 ||
			json_set(*again, "ports", json_build("[]")) < 0))
		return -1;
	ports = json_take(*again, "ports");
	if (!ports || json_append(ports, json_build("i", (int)port)) < 0)
		return -1;
	return json_set(*again, "ports", take_ptr(ports));
}

/* Starts the processes of the job and tells each what it has to do. */
static int start_parts(struct child *net, struct child *worker,
		       const struct channel_parts *parts, struct error *err)
{
	if (parts->net.request && (child_start(net, &parts->net, err) < 0 ||
				   child_ask(net, parts->net.request, err) < 0))
		return -1;
	if (child_start(worker, &parts->worker, err) < 0)
		return -1;
	return child_ask(worker, parts->worker.request, err);
}

/* The worker could not go on without the net worker, which has died: of what? */
static int blame_net(struct child *net, struct error *err)
{
	char how[64];
	int status;

	if (net->pid == 0 || err->errnum != EPIPE)
		return -1;
	child_reap(net, &status);
	describe(status, how, sizeof(how));
	return error_set(err, ERROR_INTERNAL, "the net worker %s", how);
}

/* `ret_port`: what it lacked to do the job, and a new one may have; else 0. */
static int call_once(const struct channel *channel, const struct json *request,
		     const struct channel_files *files, struct json **ret_result,
		     unsigned *ret_port, struct error *err)
{
	cleanup(channel_parts_done) struct channel_parts parts = CHANNEL_PARTS_INIT;
	cleanup(child_end) struct child net = { .channel = channel, .fd = -1 };
	cleanup(child_end) struct child child = { .channel = channel,
						  .fd = -1,
						  .request = request };
	int done;

	if (channel_parts_make(channel->worker, channel->net, request, files->fds,
			       files->count, &parts, err) < 0 ||
	    start_parts(&net, &child, &parts, err) < 0)
		return -1;
	channel_parts_done(&parts);

	do {
		cleanup_json struct json *line = NULL;

		if (child_hear(&child, &line, err) < 0)
			return -1;
		done = child_take(&child, line, ret_result, err);
	} while (done == 0);

	*ret_port = child.port;
	return done < 0 ? blame_net(&net, err) : 0;
}

int channel_call(const struct channel *channel, const struct json *request,
		 const int *fds, size_t fd_count, struct json **ret_result,
		 struct error *err)
{
	const struct channel_files files = { fds, fd_count };
	cleanup_json struct json *again = NULL;

	for (unsigned times = 0;; times++) {
		cleanup_json struct json *result = NULL;
		struct error failed = ERROR_INIT;
		unsigned port = 0;
		int done = call_once(channel, again ? again : request, &files, &result,
				     &port, &failed);

		if (port == 0 || times == PORTS_MAX) {
			if (done < 0)
				*err = failed;
			else
				*ret_result = take_ptr(result);
			return done;
		}
		/* What this one made of it does not count: it could not go on. */
		if (more_ports(&again, request, port) < 0)
			return error_set_errno(err, ENOMEM, "asking the worker");
	}
}

int channel_receive(int fd, struct json **ret_request, struct error *err)
{
	cleanup_free char *line = NULL;
	size_t used = 0, capacity = 0;

	do {
		ssize_t n;

		if (used == capacity) {
			size_t more = capacity ? capacity * 2 : 16384;
			char *grown = more <= CHANNEL_LINE_MAX ? realloc(line, more)
							       : NULL;

			if (!grown)
				return error_set(err, ERROR_INTERNAL,
						 "the request is too long");
			line = grown;
			capacity = more;
		}
		n = read(fd, line + used, capacity - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return error_set_errno(err, errno, "reading the request");
		if (n == 0)
			return error_set(err, ERROR_INTERNAL, "there is no request");
		used += (size_t)n;
	} while (line[used - 1] != '\n');

	if (json_parse(line, used, ret_request, err) < 0)
		return error_prefix(err, "reading the request");
	return 0;
}

int channel_send(int fd, const char *kind, struct json *value, struct error *err)
{
	cleanup_json struct json *object = json_build("{s:o}", kind, value);
	cleanup_free char *line = object ? json_print(object) : NULL;
	size_t size;

	if (!line)
		return error_set_errno(err, ENOMEM, "answering");

	size = strlen(line);
	if (size >= CHANNEL_LINE_MAX)
		return error_set(err, ERROR_INTERNAL, "the answer is too long");
	line[size++] = '\n'; /* in the place of the NUL: it is sent by its size */
	if (file_write_all(fd, line, size, err) < 0)
		return error_prefix(err, "answering");
	return 0;
}

struct json *channel_error_json(const struct error *error)
{
	return json_build("{s:s, s:o, s:o, s:i, s:b}", "name",
			  error_code_name(error->code), "message",
			  json_words(error->text), "hint", json_words(error->hint),
			  "errnum", error->errnum, "passing", error->passing);
}

int channel_send_error(int fd, const struct error *error, struct error *err)
{
	return channel_send(fd, "error", channel_error_json(error), err);
}
