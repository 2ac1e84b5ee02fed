/* SPDX-License-Identifier: Apache-2.0 */
#include "base/run.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "base/deadline.h"
#include "base/file.h"
#include "base/run_child.h"
#include "base/text.h"

#define GRACE_S 5.0  /* between SIGTERM and SIGKILL */
#define BURIAL_S 1.0 /* for a killed group to be gone */
#define PROBE_MS 20  /* between two looks where nothing can be waited for */
#define CHUNK (64u << 10)
#define CHUNKS_MAX                                                          \
	32 /* read at once: one that never stops talking has a deadline too \
	    */

/* One command under way. */
struct command {
	const struct run *run;
	pid_t pid;                /* also its process group; 0 once it is reaped */
	int pidfd;                /* -1 where the kernel has none (before 5.3) */
	int output;               /* read end; -1 at its end */
	int report;               /* the child's failure before exec; -1 at its end */
	int cancel;               /* -1: never, or seen already */
	struct deadline deadline; /* for the next stronger signal */
	int sent;                 /* the last signal sent, 0: none yet */
	bool cancelled;
	bool log_failed;
	struct run_report failure;
	struct run_result result;
};

#define COMMAND_INIT \
	((struct command){ .pidfd = -1, .output = -1, .report = -1, .cancel = -1 })

static void command_done(struct command *command)
{
	if (command->pidfd >= 0)
		(void)close(command->pidfd);
	if (command->output >= 0)
		(void)close(command->output);
	if (command->report >= 0)
		(void)close(command->report);
	run_result_done(&command->result);
}

static void command_kill(struct command *command, int signal)
{
	/* Before its setsid() the child is no group yet. */
	if (kill(-command->pid, signal) < 0 && errno == ESRCH)
		(void)kill(command->pid, signal);
	command->sent = signal;
	command->deadline = deadline_in(GRACE_S);
}

/* Keeps the newest bytes. */
static void command_keep(struct command *command, const char *data, size_t size)
{
	struct run_result *result = &command->result;
	size_t limit = command->run->output_limit, over;

	if (size > limit) {
		data += size - limit;
		size = limit;
	}
	if (result->size + size > limit) {
		over = result->size + size - limit;
		memmove(result->output, result->output + over, result->size - over);
		result->size -= over;
	}
	memcpy(result->output + result->size, data, size);
	for (char *end = result->output + result->size; size > 0; size--, end++) {
		if (!*end)
			*end = '?';
		result->size++;
	}
	result->output[result->size] = '\0';
}

/* A log that cannot be written is no reason to let a build fail. */
static void command_log(struct command *command, const char *data, size_t size)
{
	struct error ignored = ERROR_INIT;

	if (command->run->log_fd > 0 && !command->log_failed &&
	    file_write_all(command->run->log_fd, data, size, &ignored) < 0)
		command->log_failed = true;
}

/* False when there is nothing more to read for now, or for ever. */
static bool command_read(struct command *command)
{
	char chunk[CHUNK];
	ssize_t n = read(command->output, chunk, sizeof(chunk));

	if (n > 0) {
		command_keep(command, chunk, (size_t)n);
		command_log(command, chunk, (size_t)n);
		return true;
	}
	if (n < 0 && errno == EINTR)
		return true;
	if (n == 0 || errno != EAGAIN)
		(void)close(take_fd(command->output));
	return false;
}

static void command_drain(struct command *command)
{
	for (int i = 0; i < CHUNKS_MAX && command->output >= 0; i++) {
		if (!command_read(command))
			return;
	}
}

static void command_hear(struct command *command)
{
	struct run_report report;
	ssize_t n;

	do
		n = read(command->report, &report, sizeof(report));
	while (n < 0 && errno == EINTR);
	if (n == (ssize_t)sizeof(report))
		command->failure = report;
	(void)close(take_fd(command->report));
}

/* True once the command itself has ended. */
static bool command_reap(struct command *command, struct error *err, int *ret_failed)
{
	int status;
	pid_t pid;

	do
		pid = waitpid(command->pid, &status, WNOHANG);
	while (pid < 0 && errno == EINTR);
	if (pid == 0)
		return false;
	if (pid < 0) {
		*ret_failed = error_set_errno(err, errno, "waiting for %s",
					      command->run->argv[0]);
		return true;
	}
	if (WIFSIGNALED(status))
		command->result.signal = WTERMSIG(status);
	else
		command->result.status = WEXITSTATUS(status);
	return true;
}

static void command_wait(struct command *command)
{
	struct pollfd polls[] = {
		{ .fd = command->output, .events = POLLIN },
		{ .fd = command->report, .events = POLLIN },
		{ .fd = command->pidfd, .events = POLLIN },
		{ .fd = command->cancel, .events = POLLIN },
	};
	int timeout = deadline_poll_ms(&command->deadline);

	if (command->pidfd < 0 && timeout > PROBE_MS)
		timeout = PROBE_MS;
	if (poll(polls, ARRAY_SIZE(polls), timeout) <= 0)
		return;
	if (polls[0].revents)
		command_drain(command);
	if (polls[1].revents)
		command_hear(command);
	if (polls[3].revents) {
		command->cancelled = true;
		command->cancel = -1;
		command_kill(command, SIGTERM);
	}
}

/* Whatever of the group outlived the command; its number stays taken until it is gone. */
static void command_end_group(struct command *command)
{
	struct deadline deadline;

	if (kill(-command->pid, command->sent == SIGKILL ? SIGKILL : SIGTERM) < 0)
		return;
	deadline = command->sent ? command->deadline : deadline_in(GRACE_S);
	for (int signal = SIGTERM; kill(-command->pid, 0) == 0;) {
		command_drain(command);
		if (!deadline_passed(&deadline)) {
			(void)poll(NULL, 0, PROBE_MS);
			continue;
		}
		if (signal == SIGKILL)
			return;
		signal = SIGKILL;
		(void)kill(-command->pid, SIGKILL);
		deadline = deadline_in(BURIAL_S);
	}
}

static int command_supervise(struct command *command, struct error *err)
{
	int failed = 0;

	while (!command_reap(command, err, &failed)) {
		command_wait(command);
		if (!deadline_passed(&command->deadline))
			continue;
		if (command_reap(command, err, &failed))
			break;
		if (!command->cancelled)
			command->result.timed_out = true;
		if (command->sent == SIGKILL) {
			/* Stuck in the kernel: nothing ends it, and nobody may wait. */
			command->result.signal = SIGKILL;
			break;
		}
		command_kill(command, command->sent ? SIGKILL : SIGTERM);
	}
	command_end_group(command);
	command_drain(command);
	if (command->report >= 0)
		command_hear(command);
	if (failed < 0)
		return -1;
	if (command->cancelled)
		return error_set_interrupted(err);
	return 0;
}

static bool is_readable(int fd)
{
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	return fd >= 0 && poll(&poll_fd, 1, 0) > 0;
}

static int command_start(struct command *command, const struct root *root,
			 struct error *err)
{
	cleanup_fd int input = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int output[2], report[2];
	struct run_child child = { .run = command->run, .root = root, .input = input };

	if (input < 0)
		return error_set_errno(err, errno, "opening /dev/null");
	if (pipe2(output, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "making a pipe");
	command->output = output[0];
	cleanup_fd int output_write = output[1];
	if (pipe2(report, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "making a pipe");
	command->report = report[0];
	cleanup_fd int report_write = report[1];
	if (fcntl(command->output, F_SETFL, O_NONBLOCK) < 0)
		return error_set_errno(err, errno, "preparing a pipe");

	child.output = output_write;
	child.report = report_write;
	command->deadline = deadline_in(command->run->timeout_s);
	command->pid = run_child_start(&child, err);
	if (command->pid < 0)
		return -1;
	command->pidfd = (int)syscall(SYS_pidfd_open, command->pid, 0);
	return 0;
}

static int start(struct runner *runner, const struct root *root, const struct run *run,
		 struct run_result *ret_result, struct error *err)
{
	cleanup(command_done) struct command command = COMMAND_INIT;

	command.run = run;
	command.cancel = runner->cancel_fd;
	command.result.output = calloc(1, run->output_limit + 1);
	if (!command.result.output)
		return error_set_errno(err, ENOMEM, "running %s", run->argv[0]);
	if (is_readable(command.cancel))
		return error_set_interrupted(err);
	if (command_start(&command, root, err) < 0 ||
	    command_supervise(&command, err) < 0)
		return -1;

	if (command.failure.errnum) {
		(void)error_set_errno(err, command.failure.errnum, "%s %s",
				      run_child_stage(command.failure.stage),
				      run->argv[0]);
		/* The program or its interpreter is not installed. */
		return command.failure.errnum == ENOENT
			       ? error_recode(err, ERROR_PREREQUISITES)
			       : -1;
	}

	*ret_result = command.result;
	command.result = (struct run_result){ 0 };
	return 0;
}

void run_result_done(struct run_result *result)
{
	free(result->output);
	*result = (struct run_result){ 0 };
}

struct runner run_runner(int cancel_fd)
{
	return (struct runner){ .start = start, .cancel_fd = cancel_fd };
}

int run_command(struct runner *runner, const struct root *root, const struct run *run,
		struct run_result *ret_result, struct error *err)
{
	if (!run->argv || !run->argv[0] || run->argv[0][0] != '/')
		return error_set(err, ERROR_INTERNAL, "a command without a full path");
	if (run->timeout_s == 0)
		return error_set(err, ERROR_INTERNAL, "%s without a time limit",
				 run->argv[0]);
	if (run->fd_count > RUN_FDS_MAX)
		return error_set(err, ERROR_INTERNAL, "%s with more than %d descriptors",
				 run->argv[0], RUN_FDS_MAX);

	return runner->start(runner, root, run, ret_result, err);
}

/* Cuts `output` down to its last line that is not blank. */
static const char *last_line(char *output, size_t size)
{
	char *line;

	while (size > 0 && strchr(" \t\r\n", output[size - 1]))
		output[--size] = '\0';
	line = strrchr(output, '\n');
	line = line ? line + 1 : output;
	text_sanitize(line);
	return line;
}

int run_question(struct runner *runner, const struct root *root, const struct run *run,
		 int last, struct run_result *ret_result, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run kept = *run;
	char how[64];
	const char *line;

	if (kept.output_limit == 0)
		kept.output_limit = 4096;
	if (run_command(runner, root, &kept, &result, err) < 0)
		return -1;
	if (!result.timed_out && result.signal == 0 && result.status <= last) {
		*ret_result = result;
		result = (struct run_result){ 0 };
		return 0;
	}

	line = result.output ? last_line(result.output, result.size) : "";
	(void)run_describe(&result, run, how, sizeof(how));
	return error_set(err, ERROR_INTERNAL, "%s: %s%s%.300s",
			 text_base_name(run->argv[0]), how, line[0] ? ": " : "", line);
}

int run_checked(struct runner *runner, const struct root *root, const struct run *run,
		struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };

	return run_question(runner, root, run, 0, &result, err);
}

const char *run_describe(const struct run_result *result, const struct run *run,
			 char *buffer, size_t size)
{
	if (result->timed_out)
		(void)text_format(buffer, size, "no end after %u s", run->timeout_s);
	else if (result->signal)
		(void)text_format(buffer, size, "killed by signal %d", result->signal);
	else
		(void)text_format(buffer, size, "exit status %d", result->status);
	return buffer;
}

bool run_has_system(const struct root *root)
{
	struct stat st;

	return root_stat(root, "/proc/cpuinfo", &st) && root_stat(root, "/dev/fd", &st);
}

const char *run_find(const struct root *root, const char *name, char *buffer, size_t size)
{
	static const char *const folders[] = { "/usr/sbin", "/usr/bin", "/sbin", "/bin" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct error ignored = ERROR_INIT;
		struct stat st;

		if (!text_format(buffer, size, "%s/%s", folders[i], name))
			return NULL;
		cleanup_fd int fd = root_open_at(root, buffer, O_PATH, 0, &ignored);
		if (fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		    (st.st_mode & 0111))
			return buffer;
	}

	return NULL;
}

bool run_find_systemctl(const struct root *root, char *buffer, size_t size)
{
	struct stat st;

	return root_stat(root, "/run/systemd/system", &st) &&
	       run_find(root, "systemctl", buffer, size);
}
