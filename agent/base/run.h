/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * External commands. No shell, no inherited environment, always a deadline.
 *
 * Callers reach commands only through a `struct runner`, so that a test can
 * answer for them.
 */

#include "base/error.h"
#include "base/root.h"

struct run {
	const char *const *argv; /* argv[0] is an absolute path inside the root */
	const char *const *env;  /* added to PATH, LC_ALL=C and HOME=/root; may be NULL */
	const char *dir;         /* working folder inside the root; NULL: "/" */
	unsigned timeout_s;      /* required; then the process group is ended */
	size_t output_limit;     /* keep this much of the newest output */
	int log_fd;              /* all output is appended here too; 0: nowhere */
	const int *fds;          /* become 3, 4, ... in the child; may be NULL */
	size_t fd_count;
};

struct run_result {
	int status;     /* exit status, meaningful when signal is 0 */
	int signal;     /* what killed it, or 0 */
	bool timed_out; /* the deadline passed: signal says what ended it */
	char *output;   /* newest stdout and stderr, NUL-terminated, NULs made '?' */
	size_t size;
};

void run_result_done(struct run_result *result);

/*
 * `start` runs one command to its end. The real one, run_runner(), makes a process
 * group of the command, changes root where the root is not the host's, ends the
 * whole group (SIGTERM, 5 s later SIGKILL) at the deadline, or as soon as
 * `cancel_fd` can be read (-1: never): then the error is `interrupted`. Whatever of
 * the group outlives the command is ended too.
 */
struct runner {
	int (*start)(struct runner *runner, const struct root *root,
		     const struct run *run, struct run_result *ret_result,
		     struct error *err);
	int cancel_fd;
};

struct runner run_runner(int cancel_fd);

/* -1 only when the command could not be run to its end; a status is no error yet. */
must_check int run_command(struct runner *runner, const struct root *root,
			   const struct run *run, struct run_result *ret_result,
			   struct error *err);

/*
 * The usual case: anything but exit status 0 is ERROR_INTERNAL with the command's name,
 * how it ended and its last line.
 */
must_check int run_checked(struct runner *runner, const struct root *root,
			   const struct run *run, struct error *err);

/* Above, a shell or a loader says why nothing was started. */
#define RUN_STATUS_MAX 125

/*
 * A question to a program that answers with exit status 0 to `last`. Any other end is no
 * answer, whatever was printed: ERROR_INTERNAL as of run_checked(), without a result.
 */
must_check int run_question(struct runner *runner, const struct root *root,
			    const struct run *run, int last,
			    struct run_result *ret_result, struct error *err);

/* "exit status 2", "killed by signal 9", "no end after 30 s". */
const char *run_describe(const struct run_result *result, const struct run *run,
			 char *buffer, size_t size);

/* Whether the root has /proc and /dev, without which a script's "<(COMMAND)" is empty. */
bool run_has_system(const struct root *root);

/* The absolute path of a program in the usual folders of the root; NULL: not there. */
const char *run_find(const struct root *root, const char *name, char *buffer,
		     size_t size);

/* The path of systemctl; false where there is no systemd to be asked: a container's. */
bool run_find_systemctl(const struct root *root, char *buffer, size_t size);
