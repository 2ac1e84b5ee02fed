/* SPDX-License-Identifier: Apache-2.0 */
#include "base/channel_spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "base/channel.h"
#include "base/text.h"

#define FDS_MAX 64
#define ENV_MAX 16

/*
 * What of our environment the worker may see: libcurl's proxies and OpenSSL's trust.
 * Not PATH, because it starts no program, and not SSLKEYLOGFILE, which would write the
 * keys of the connection to a file.
 */
static const char *const env_names[] = {
	"http_proxy", "https_proxy", "HTTPS_PROXY",   "all_proxy",    "ALL_PROXY",
	"no_proxy",   "NO_PROXY",    "SSL_CERT_FILE", "SSL_CERT_DIR",
};

static void close_all(int *fds)
{
	for (size_t i = 0; i < FDS_MAX; i++) {
		if (fds[i] > 0)
			(void)close(fds[i]);
	}
}

static void env_free(char **env)
{
	for (size_t i = 0; i < ENV_MAX; i++)
		free(env[i]);
}

static int env_fill(char **env, struct error *err)
{
	size_t used = 0;

	env[used] = strdup("LC_ALL=C");
	if (!env[used++])
		return error_set_errno(err, ENOMEM, "starting the worker");

	for (size_t i = 0; i < ARRAY_SIZE(env_names); i++) {
		const char *value = secure_getenv(env_names[i]);

		if (!value)
			continue;
		env[used] = text_print("%s=%s", env_names[i], value);
		if (!env[used++])
			return error_set_errno(err, ENOMEM, "starting the worker");
	}

	return 0;
}

struct spawning {
	const char *program;
	const struct confine *confine;
	char *env[ENV_MAX];
	int high[FDS_MAX]; /* copies above the numbers that the worker will use */
	int count;         /* of them */
	int report;        /* where the child says why there is no worker */
};

/* What a child says that could not become a worker. Nothing: it has become one. */
struct report {
	int errnum;
	char what[60];
};

static void spawning_done(struct spawning *spawning)
{
	env_free(spawning->env);
	close_all(spawning->high);
	if (spawning->report >= 0)
		(void)close(spawning->report);
}

static int high_copy(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, CHANNEL_FD + FDS_MAX);
}

/* The next number there is a copy of `fd`, or for -1 none; copied first, because targets
 * may be sources. */
static int spawning_hand(struct spawning *spawning, int fd)
{
	int high = fd < 0 ? -1 : high_copy(fd);

	if (fd >= 0 && high < 0)
		return -1;
	spawning->high[spawning->count++] = high;
	return 0;
}

/*
 * In the child, until exec: only calls that are safe after fork(2). No signal setting of
 * ours stays, nothing is on stdin, stdout and stderr: a terminal is not the worker's to
 * read or write.
 */
static const char *become(const struct spawning *spawning, unsigned *ret_layers)
{
	int last = CHANNEL_FD + spawning->count;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	sigset_t none;

	(void)sigemptyset(&none);
	for (int number = 1; number < NSIG; number++)
		(void)sigaction(number, &(struct sigaction){ .sa_handler = SIG_DFL },
				NULL);
	if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
		return "resetting signals";
	if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
		return "opening /dev/null";
#ifndef VGPU_SANITIZED /* which reports there */
	if (dup2(null, STDERR_FILENO) < 0)
		return "opening /dev/null";
#endif
	for (int i = 0; i < spawning->count; i++) {
		if (spawning->high[i] < 0)
			(void)close(CHANNEL_FD + i); /* whatever it was to us */
		else if (dup2(spawning->high[i], CHANNEL_FD + i) < 0)
			return "handing on files";
	}
	/* The pipe of the report is among them: it is closed by exec. */
	if (close_range((unsigned)last, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		return "closing files";
	return confine_enter(spawning->confine, ret_layers);
}

static __attribute__((noreturn)) void child(const struct spawning *spawning)
{
	unsigned layers = 0;
	const char *what = become(spawning, &layers);
	char name[32], told[] = { (char)('0' + layers), '\0' };
	char *argv[] = { name, told, NULL };
	struct report report = { .errnum = errno };

	(void)text_copy(name, sizeof(name), text_base_name(spawning->program));
	if (!what) {
		(void)execve(spawning->program, argv, spawning->env);
		report.errnum = errno;
		what = "loading the program";
	}
	(void)text_copy(report.what, sizeof(report.what), what);
	(void)!write(spawning->report, &report, sizeof(report));
	_exit(127);
}

/* Waits until the child has become a worker, or has said why not. */
static int hear_child(const struct spawning *spawning, int report_fd, pid_t pid,
		      struct error *err)
{
	struct report report = { .errnum = 0 };
	ssize_t n;

	while ((n = read(report_fd, &report, sizeof(report))) < 0 && errno == EINTR)
		continue;
	if (n == 0)
		return 0;

	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	report.what[sizeof(report.what) - 1] = '\0';
	(void)error_set_errno(err, report.errnum, "starting %s: %s", spawning->program,
			      report.what);
	if (report.errnum == EPERM && spawning->confine->root)
		(void)error_hint(err, "the worker must not be root: give the agent "
				      "CAP_SETUID, CAP_SETGID and CAP_SETPCAP");
	return -1;
}

/* Our handlers must not run in the child: signals wait until it has reset them. */
static pid_t fork_silent(const struct spawning *spawning)
{
	sigset_t all, before;
	int errnum;
	pid_t pid;

	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		child(spawning);
	errnum = errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	errno = errnum;
	return pid;
}

static int start(struct spawning *spawning, pid_t *ret_pid, struct error *err)
{
	cleanup_fd int hear = -1;
	int ends[2];
	pid_t pid;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "starting the worker");
	hear = ends[0];
	spawning->report = high_copy(ends[1]);
	(void)close(ends[1]);
	if (spawning->report < 0)
		return error_set_errno(err, errno, "starting the worker");

	pid = fork_silent(spawning);
	if (pid < 0)
		return error_set_errno(err, errno, "starting the worker");
	(void)close(spawning->report);
	spawning->report = -1;
	if (hear_child(spawning, hear, pid, err) < 0)
		return -1;
	*ret_pid = pid;
	return 0;
}

int channel_spawn(const char *program, const struct confine *confine, const int *fds,
		  size_t fd_count, pid_t *ret_pid, int *ret_fd, struct error *err)
{
	cleanup(spawning_done) struct spawning spawning = {
		.program = program,
		.confine = confine,
		.report = -1,
	};
	cleanup_fd int ours = -1, theirs = -1;
	int pair[2];

	if (fd_count >= FDS_MAX)
		return error_set(err, ERROR_INTERNAL, "%zu files for the worker",
				 fd_count);
	if (env_fill(spawning.env, err) < 0)
		return -1;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return error_set_errno(err, errno, "talking to the worker");
	ours = pair[0];
	theirs = pair[1];

	if (spawning_hand(&spawning, theirs) < 0)
		return error_set_errno(err, errno, "starting the worker");
	for (size_t i = 0; i < fd_count; i++) {
		if (spawning_hand(&spawning, fds[i]) < 0)
			return error_set_errno(err, errno, "handing on a file");
	}
	if (start(&spawning, ret_pid, err) < 0)
		return -1;
	*ret_fd = take_fd(ours);
	return 0;
}
