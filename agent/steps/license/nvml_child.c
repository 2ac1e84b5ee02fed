/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/nvml_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "steps/license/nvml.h"

#define FD 3 /* of the child's end */
#define REAP_S 1
#define REAP_PAUSE_S 0.005

/* Comes first; `count` GPUs of struct license_gpu follow. */
struct answer {
	bool exact;
	int failed; /* enum error_code, 0: none; then no GPU follows */
	size_t count;
	char text[256]; /* of the error */
	char driver_version[VERSION_MAX];
};

bool nvml_child_is_up(const struct nvml_child *child)
{
	return child->pid > 0;
}

/* Nothing of ours but the channel: neither files nor signals that somebody waits for. */
static int isolate_child(int fd, pid_t parent)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)setsid();
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || null < 0)
		return -1;
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &action, NULL);
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);

	fd = fcntl(fd, F_DUPFD_CLOEXEC, FD + 1);
	for (int i = 0; i < FD; i++) {
		if (fd < 0 || dup2(null, i) < 0)
			return -1;
	}
	if (dup2(fd, FD) < 0)
		return -1;
#ifdef SYS_close_range
	(void)syscall(SYS_close_range, FD + 1, UINT_MAX, 0);
#endif
	return 0;
}

static int answer(struct nvml *nvml, const struct error *loading, struct error *err)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	struct error why = *loading;
	struct answer answer = { 0 };

	if (!report)
		return error_set_errno(err, ENOMEM, "answering");
	if (nvml && nvml_read(nvml, report, &answer.exact, &why) == 0)
		why = ERROR_INIT;
	answer.failed = (int)why.code;
	answer.count = why.code ? 0 : report->count;
	(void)text_copy(answer.text, sizeof(answer.text), why.text);
	(void)text_copy(answer.driver_version, sizeof(answer.driver_version),
			report->driver_version);
	if (file_write_all(FD, &answer, sizeof(answer), err) < 0)
		return -1;
	return file_write_all(FD, report->gpus, answer.count * sizeof(report->gpus[0]),
			      err);
}

/* Loads at the first question, so that a library that hangs is asked within a time. */
static void serve(const char *library)
{
	struct error err = ERROR_INIT, loading = ERROR_INIT;
	struct nvml *nvml = NULL;
	char question;

	while (read(FD, &question, 1) == 1) {
		if (!nvml && nvml_load(library, &nvml, &loading) == 0)
			loading = ERROR_INIT;
		if (answer(nvml, &loading, &err) < 0)
			return;
	}
}

int nvml_child_start(const char *library, struct nvml_child *ret_child, struct error *err)
{
	cleanup_fd int ours = -1, theirs = -1;
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int pair[2], errnum;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "starting the child for NVML");
	ours = pair[0];
	theirs = pair[1];

	/* No handler of the agent may run in the child. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		if (isolate_child(theirs, parent) == 0)
			serve(library);
		_exit(0);
	}
	errnum = errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return error_set_errno(err, errnum, "starting the child for NVML");

	*ret_child = (struct nvml_child){ .pid = pid, .fd = take_fd(ours) };
	return 0;
}

/* One that hangs in the driver dies when the driver lets it, perhaps never. */
static void reap(pid_t pid)
{
	double end = clock_monotonic() + REAP_S;
	struct error ignored = ERROR_INIT;

	while (waitpid(pid, NULL, WNOHANG) == 0 && clock_monotonic() < end &&
	       clock_sleep(REAP_PAUSE_S, -1, &ignored) == 0)
		;
}

void nvml_child_end(struct nvml_child *child)
{
	if (child->pid > 0) {
		(void)kill(child->pid, SIGKILL);
		reap(child->pid);
	}
	if (child->fd >= 0)
		(void)close(child->fd);
	*child = NVML_CHILD_INIT;
}

struct waiting {
	int fd, cancel_fd;
	double end;
};

static int wait_for(const struct waiting *waiting, struct error *err)
{
	struct pollfd polls[] = { { .fd = waiting->fd, .events = POLLIN },
				  { .fd = waiting->cancel_fd, .events = POLLIN } };

	for (;;) {
		double left = waiting->end - clock_monotonic();
		int n;

		if (left <= 0)
			return error_set(err, ERROR_DRIVER, "NVML does not answer");
		n = poll(polls, ARRAY_SIZE(polls), (int)(left * 1000) + 1);
		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "waiting for NVML");
		if (n > 0 && polls[1].revents)
			return error_set_interrupted(err);
		if (n > 0 && polls[0].revents)
			return 0;
	}
}

static int receive(const struct waiting *waiting, void *buffer, size_t size,
		   struct error *err)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n;

		if (wait_for(waiting, err) < 0)
			return -1;
		n = recv(waiting->fd, (char *)buffer + used, size - used, MSG_DONTWAIT);
		if (n < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (n <= 0)
			return error_set(err, ERROR_DRIVER,
					 "NVML ended its process without an answer");
		used += (size_t)n;
	}
	return 0;
}

/* The library may have written anywhere in that process: no text may be endless. */
static void close_texts(struct license_report *report)
{
#define CLOSE(text) ((text)[sizeof(text) - 1] = '\0')
	CLOSE(report->driver_version);
	for (size_t i = 0; i < report->count; i++) {
		struct license_gpu *gpu = &report->gpus[i];

		CLOSE(gpu->id);
		CLOSE(gpu->uuid);
		CLOSE(gpu->name);
		CLOSE(gpu->virtualization);
		for (size_t k = 0; k < LICENSE_FEATURES_MAX; k++) {
			CLOSE(gpu->features[k].product);
			CLOSE(gpu->features[k].status);
		}
	}
#undef CLOSE
}

/*
 * Reads one answer within the time, through partial reads. A child that sends anything
 * else than a whole answer counts as dead.
 */
static int take_answer(const struct waiting *waiting, struct license_report *report,
		       struct answer *answer, struct error *err)
{
	if (receive(waiting, answer, sizeof(*answer), err) < 0)
		return -1;
	answer->text[sizeof(answer->text) - 1] = '\0';
	if (answer->failed)
		return 0;
	if (answer->count == 0 || answer->count > LICENSE_GPUS_MAX)
		return error_set(err, ERROR_DRIVER, "NVML's process has gone astray");

	report->count = answer->count;
	memcpy(report->driver_version, answer->driver_version,
	       sizeof(report->driver_version));
	if (receive(waiting, report->gpus, answer->count * sizeof(report->gpus[0]), err) <
	    0)
		return -1;
	close_texts(report);
	for (size_t i = 0; i < report->count; i++) {
		if (report->gpus[i].feature_count > LICENSE_FEATURES_MAX)
			return error_set(err, ERROR_DRIVER,
					 "NVML's process has gone astray");
	}
	return 0;
}

int nvml_child_ask(struct nvml_child *child, unsigned timeout_s, int cancel_fd,
		   struct license_report *ret_report, bool *ret_exact, struct error *err)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	struct waiting waiting = { .fd = child->fd,
				   .cancel_fd = cancel_fd,
				   .end = clock_monotonic() + timeout_s };
	struct answer answer;

	if (!report)
		return error_set_errno(err, ENOMEM, "asking NVML");
	if (send(child->fd, "?", 1, MSG_NOSIGNAL) != 1)
		(void)error_set(err, ERROR_DRIVER, "NVML's process has ended");
	else if (take_answer(&waiting, report, &answer, err) == 0) {
		if (answer.failed)
			return error_set(err, ERROR_DRIVER, "%s", answer.text);
		*ret_report = *report;
		*ret_exact = answer.exact;
		return 0;
	}

	nvml_child_end(child);
	return -1;
}
