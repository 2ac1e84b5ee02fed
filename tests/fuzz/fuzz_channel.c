/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The agent's side of the channel, with a worker that says what it likes in pieces of any
 * size and ends as it likes. The first byte is how it ends and which job it had, the
 * second the size of the pieces, the rest its lines. No process is made, and none is
 * signalled.
 */

#include "base/channel.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/channel_spawn.h"
#include "fuzz/fuzz.h"

#define WORKER 4194305 /* above every pid_max */

static struct {
	struct span said;
	size_t piece;
	int status;
	bool running;
} worker;

__typeof__(channel_spawn) __wrap_channel_spawn;
__typeof__(waitpid) __wrap_waitpid;
__typeof__(kill) __wrap_kill;
__typeof__(poll) __wrap_poll;
__typeof__(send) __wrap_send;
__typeof__(recv) __wrap_recv;

int __wrap_channel_spawn(const char *program, const struct confine *confine,
			 const int *fds, size_t fd_count, pid_t *ret_pid, int *ret_fd,
			 struct error *err)
{
	(void)program;
	(void)confine;
	(void)fds;
	(void)fd_count;
	(void)err;
	fuzz_require(!confine->online && !worker.running);
	worker.running = true;
	*ret_pid = WORKER;
	*ret_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	return 0;
}

pid_t __wrap_waitpid(pid_t pid, int *status, int options)
{
	(void)options;
	fuzz_require(pid == WORKER && worker.running);
	worker.running = false;
	if (status)
		*status = worker.status;
	return pid;
}

/* Only this worker's group, which a worker that was reaped has left behind. */
int __wrap_kill(pid_t pid, int number)
{
	fuzz_require(pid == -WORKER && number == SIGKILL);
	return 0;
}

int __wrap_poll(struct pollfd *fds, nfds_t count, int timeout)
{
	(void)timeout;
	for (nfds_t i = 0; i < count; i++)
		fds[i].revents = i == 0 ? fds[i].events : 0;
	return count > 0;
}

ssize_t __wrap_send(int fd, const void *data, size_t size, int flags)
{
	(void)fd;
	(void)data;
	(void)flags;
	return (ssize_t)size;
}

ssize_t __wrap_recv(int fd, void *buffer, size_t size, int flags)
{
	size_t n = worker.said.len < worker.piece ? worker.said.len : worker.piece;

	(void)fd;
	(void)flags;
	if (n > size)
		n = size;
	memcpy(buffer, worker.said.at, n);
	worker.said.at += n;
	worker.said.len -= n;
	return (ssize_t)n;
}

static void take_progress(void *context, const struct json *progress)
{
	(void)context;
	(void)json_get_int(progress, "done", -1);
}

/* The next worker goes on with what this one has not said. */
static bool may_connect(void *context, const struct json *request, const char *host,
			unsigned port)
{
	(void)context;
	(void)request;
	fuzz_require(host[0] && fuzz_is_printable(host) && port > 0 && port < 65536);
	return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const int statuses[] = { 0, 1 << 8, SIGSEGV, 15 << 8 };
	const struct channel channel = { .worker = "/worker",
					 .silence_s = 3600,
					 .cancel_fd = -1,
					 .progress = take_progress,
					 .may_connect = may_connect };
	static const char *const jobs[] = { "try", "fetch", "list", "metadata" };
	cleanup_json struct json *request =
		json_build("{s:s}", "job", jobs[size ? data[0] / 4 % 4 : 0]);
	cleanup_json struct json *result = NULL;
	struct error err = ERROR_INIT;

	if (size < 2)
		return 0;
	worker.status = statuses[data[0] % ARRAY_SIZE(statuses)];
	worker.piece = (size_t)data[1] * 16 + 1;
	worker.said = (struct span){ (const char *)data + 2, size - 2 };

	if (channel_call(&channel, request, NULL, 0, &result, &err) < 0) {
		fuzz_require(err.code != ERROR_NONE && !result);
		fuzz_require(err.text[0] && fuzz_is_printable(err.text));
		fuzz_require(fuzz_is_printable(err.hint));
	} else {
		fuzz_require(result && worker.status == 0);
	}
	fuzz_require(!worker.running);
	return 0;
}
