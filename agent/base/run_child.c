/* SPDX-License-Identifier: Apache-2.0 */
#include "base/run_child.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#define FDS_SCAN_MAX 65536 /* where close_range(2) is missing */

static const char *const default_env[] = {
	"PATH=/usr/sbin:/usr/bin:/sbin:/bin",
	"LC_ALL=C",
	"HOME=/root",
};

static bool env_has(const char *const *env, const char *entry)
{
	size_t name = strcspn(entry, "=") + 1;

	for (; *env; env++) {
		if (strncmp(*env, entry, name) == 0)
			return true;
	}
	return false;
}

/* A NULL-terminated array of borrowed strings; a given variable replaces a default. */
static const char **make_env(const char *const *given)
{
	static const char *const none[] = { NULL };
	size_t count = 0, n = 0;
	const char **env;

	if (!given)
		given = none;
	while (given[count])
		count++;
	env = calloc(count + ARRAY_SIZE(default_env) + 1, sizeof(*env));
	if (!env)
		return NULL;
	for (size_t i = 0; i < ARRAY_SIZE(default_env); i++) {
		if (!env_has(given, default_env[i]))
			env[n++] = default_env[i];
	}
	for (size_t i = 0; i < count; i++)
		env[n++] = given[i];
	return env;
}

_Noreturn static void give_up(int report, enum run_child_stage stage)
{
	struct run_report words = { .stage = stage, .errnum = errno };

	/* Nobody is left to hear of a failure of this one. */
	if (write(report, &words, sizeof(words)) < 0)
		_exit(126);
	_exit(127);
}

/* The agent may ignore or block signals; ignored ones would survive the exec. */
static void reset_signals(void)
{
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t none;

	for (int signal = 1; signal < NSIG; signal++)
		(void)sigaction(signal, &action, NULL);
	(void)sigemptyset(&none);
	(void)pthread_sigmask(SIG_SETMASK, &none, NULL);
}

static void close_from(unsigned first)
{
	long max;

#ifdef SYS_close_range
	if (syscall(SYS_close_range, first, UINT_MAX, 0) == 0)
		return;
#endif
	/* Before Linux 5.9. All our own are close-on-exec: this is for inherited ones. */
	max = sysconf(_SC_OPEN_MAX);
	if (max < 0 || max > FDS_SCAN_MAX)
		max = FDS_SCAN_MAX;
	for (int fd = (int)first; fd < (int)max; fd++)
		(void)close(fd);
}

/*
 * Puts 0 to 2, then the given files, then the report in place. All are moved out of the
 * way first: a target may be the number of a source.
 */
static int place_files(const struct run_child *child, int *report)
{
	const struct run *run = child->run;
	int count = 3 + (int)run->fd_count, above = count + 1;
	int moved[3 + RUN_FDS_MAX];

	*report = fcntl(child->report, F_DUPFD_CLOEXEC, above);
	if (*report < 0) {
		*report = child->report;
		return -1;
	}
	for (int i = 0; i < count; i++) {
		int source = i == 0   ? child->input
			     : i <= 2 ? child->output
				      : run->fds[i - 3];

		moved[i] = fcntl(source, F_DUPFD_CLOEXEC, above);
		if (moved[i] < 0)
			return -1;
	}
	for (int i = 0; i < count; i++) {
		if (dup2(moved[i], i) < 0)
			return -1;
	}
	if (dup3(*report, count, O_CLOEXEC) < 0)
		return -1;
	*report = count;
	close_from((unsigned)above);
	return 0;
}

static int change_root(const struct root *root)
{
	if (root->is_host)
		return 0;
	return fchdir(root->fd) < 0 || chroot(".") < 0 ? -1 : 0;
}

/* execve(2) changes no string, but was declared before there was const. */
union strings {
	const char *const *given;
	char *const *taken;
};

_Noreturn static void become(const struct run_child *child, const char *const *env,
			     pid_t parent)
{
	const struct run *run = child->run;
	int report = child->report;

	/*
	 * A session of its own, not only a group: without a terminal nothing can ask
	 * there, nor be stopped by it.
	 */
	(void)setsid();
	reset_signals();
	/* SIGTERM, so that make and package managers can tidy up. */
	(void)prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);

	if (change_root(child->root) < 0)
		give_up(report, RUN_CHILD_ROOT);
	if (chdir(run->dir ? run->dir : "/") < 0)
		give_up(report, RUN_CHILD_FOLDER);
	(void)umask(022);
	if (place_files(child, &report) < 0)
		give_up(report, RUN_CHILD_FILES);

	(void)execve(run->argv[0], (union strings){ .given = run->argv }.taken,
		     (union strings){ .given = env }.taken);
	give_up(report, RUN_CHILD_START);
}

pid_t run_child_start(const struct run_child *child, struct error *err)
{
	const char **env = make_env(child->run->env);
	pid_t parent = getpid(), pid;
	sigset_t all, before;
	int errnum;

	if (!env)
		return error_set_errno(err, ENOMEM, "starting %s", child->run->argv[0]);

	/* No handler of the agent may run in the child. */
	(void)sigfillset(&all);
	(void)pthread_sigmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0)
		become(child, env, parent);
	errnum = errno;
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	free(env);

	if (pid < 0)
		return error_set_errno(err, errnum, "starting %s", child->run->argv[0]);
	return pid;
}

const char *run_child_stage(enum run_child_stage stage)
{
	switch (stage) {
	case RUN_CHILD_ROOT:
		return "changing root for";
	case RUN_CHILD_FOLDER:
		return "changing folder for";
	case RUN_CHILD_FILES:
		return "passing files to";
	case RUN_CHILD_START:
		break;
	}
	return "starting";
}
