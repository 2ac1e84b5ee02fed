/* SPDX-License-Identifier: Apache-2.0 */
#include "base/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

/* What the child says at its end. Less than a pipe takes at once. */
struct end {
	double seconds;
	int result;
	struct error err;
};

_Noreturn static void serve(int fd, double began, pid_t parent,
			    int (*work)(void *context, struct error *err), void *context)
{
	struct end end = { .result = -1, .err = ERROR_INIT };
	struct error lost = ERROR_INIT;

	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(1);
	end.result = work(context, &end.err);
	end.seconds = clock_monotonic() - began;
	_exit(file_write_all(fd, (const char *)&end, sizeof(end), &lost) < 0);
}

int beside_start(struct beside *beside, int (*work)(void *context, struct error *err),
		 void *context, struct error *err)
{
	double began = clock_monotonic();
	pid_t parent = getpid(), pid;
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "making a pipe");
	cleanup_fd int ours = pipes[0];
	cleanup_fd int theirs = pipes[1];

	pid = fork();
	if (pid < 0)
		return error_set_errno(err, errno, "starting a process");
	if (pid == 0)
		serve(theirs, began, parent, work, context);
	*beside = (struct beside){ .pid = pid, .fd = take_fd(ours), .began = began };
	return 0;
}

/* Until the child has said its end, or died without. */
static bool hear(const struct beside *beside, int cancel_fd, bool *ret_cancelled,
		 struct end *end)
{
	struct pollfd polls[] = { { .fd = beside->fd, .events = POLLIN },
				  { .fd = cancel_fd, .events = POLLIN } };

	while (polls[0].revents == 0) {
		if (poll(polls, ARRAY_SIZE(polls), -1) < 0)
			polls[0].revents = polls[1].revents = 0;
		if (polls[1].revents) {
			(void)kill(beside->pid, SIGTERM);
			polls[1].fd = -1;
			*ret_cancelled = true;
		}
	}
	return read(beside->fd, end, sizeof(*end)) == (ssize_t)sizeof(*end);
}

int beside_wait(struct beside *beside, int cancel_fd, struct error *err)
{
	struct end end = { .result = 0, .err = ERROR_INIT };
	double began = clock_monotonic();
	bool cancelled = false, heard;

	if (beside->pid == 0)
		return 0;
	heard = hear(beside, cancel_fd, &cancelled, &end);
	while (waitpid(beside->pid, NULL, 0) < 0 && errno == EINTR)
		;
	(void)close(beside->fd);
	beside->pid = 0;
	beside->waited = clock_monotonic() - began;
	beside->seconds = heard ? end.seconds : clock_monotonic() - beside->began;

	if (cancelled)
		return error_set_interrupted(err);
	if (!heard)
		return error_set(err, ERROR_INTERNAL, "a process of ours was killed");
	if (end.result < 0)
		*err = end.err;
	return end.result;
}
