/* wrap: syscall */
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
#include <time.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

/* The real commands of this machine, through /bin/sh. */
struct shell {
	const char *argv[4];
	struct run run;
	struct run_result result;
	struct error err;
	double seconds;
	int status;
};

static long refused_call; /* answered with ENOSYS, as an old kernel would */

long __real_syscall(long number, long a, long b, long c, long d);
long __wrap_syscall(long number, long a, long b, long c, long d);
long __wrap_syscall(long number, long a, long b, long c, long d)
{
	if (number != refused_call)
		return __real_syscall(number, a, b, c, d);
	errno = ENOSYS;
	return -1;
}

static double now(void)
{
	struct timespec time;

	assert_int_equal(clock_gettime(CLOCK_MONOTONIC, &time), 0);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static struct shell shell_of(const char *script)
{
	return (struct shell){
		.argv = { "/bin/sh", "-c", script, NULL },
		.run = { .timeout_s = 20, .output_limit = 4096 },
		.err = ERROR_INIT,
	};
}

static void shell_run_in(struct shell *shell, const char *dir, int cancel_fd)
{
	struct runner runner = run_runner(cancel_fd);
	struct root root = ROOT_INIT;
	double start = now();

	shell->run.argv = shell->argv;
	assert_int_equal(root_open(dir, &root, &shell->err), 0);
	shell->status =
		run_command(&runner, &root, &shell->run, &shell->result, &shell->err);
	shell->seconds = now() - start;
	root_close(&root);
}

static void shell_run(struct shell *shell)
{
	shell_run_in(shell, "/", -1);
}

static int number(const char *text)
{
	return (int)strtol(text, NULL, 10);
}

static bool is_alive(const char *pid)
{
	char path[64], line[256] = "";
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%d/stat", number(pid));
	f = fopen(path, "re");
	if (!f)
		return false;
	assert_non_null(fgets(line, sizeof(line), f));
	(void)fclose(f);
	return !strstr(line, ") Z ");
}

static void output_and_status_come_back(void **state)
{
	struct shell shell = shell_of("echo out; echo err >&2; exit 3");

	(void)state;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_int_equal(shell.result.status, 3);
	assert_int_equal(shell.result.signal, 0);
	assert_false(shell.result.timed_out);
	assert_string_equal(shell.result.output, "out\nerr\n");
	assert_int_equal(shell.result.size, 8);
	run_result_done(&shell.result);
}

static void death_by_a_signal_is_no_exit_status(void **state)
{
	struct shell shell = shell_of("kill -9 $$");
	char how[64];

	(void)state;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_int_equal(shell.result.signal, SIGKILL);
	assert_int_equal(shell.result.status, 0);
	assert_string_equal(run_describe(&shell.result, &shell.run, how, sizeof(how)),
			    "killed by signal 9");
	run_result_done(&shell.result);
}

static void the_deadline_ends_the_whole_group(void **state)
{
	struct shell shell = shell_of("sleep 60 & echo $!; sleep 60");
	char how[64];

	(void)state;
	shell.run.timeout_s = 1;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_true(shell.result.timed_out);
	assert_int_equal(shell.result.signal, SIGTERM);
	assert_true(shell.seconds > 0.9 && shell.seconds < 10);
	assert_false(is_alive(shell.result.output));
	assert_string_equal(run_describe(&shell.result, &shell.run, how, sizeof(how)),
			    "no end after 1 s");
	run_result_done(&shell.result);
}

/* Stopped for longer than the command may take: by then it has ended long ago. */
static void time_in_which_we_did_not_run_does_not_count(void **state)
{
	pid_t pid = fork();
	int status;

	(void)state;
	if (pid == 0) {
		struct shell shell = shell_of("sleep 0.5");

		shell.run.timeout_s = 2;
		shell_run(&shell);
		_exit(shell.status == 0 && !shell.result.timed_out ? 0 : 1);
	}
	(void)poll(NULL, 0, 200);
	assert_int_equal(kill(pid, SIGSTOP), 0);
	(void)poll(NULL, 0, 3000);
	assert_int_equal(kill(pid, SIGCONT), 0);

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void what_ignores_sigterm_is_killed_after_the_grace(void **state)
{
	struct shell shell = shell_of("trap '' TERM; echo $$; while :; do sleep 1; done");

	(void)state;
	shell.run.timeout_s = 1;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_true(shell.result.timed_out);
	assert_int_equal(shell.result.signal, SIGKILL);
	assert_true(shell.seconds > 5.5 && shell.seconds < 12);
	run_result_done(&shell.result);
}

/* This sh outlives SIGTERM, but not the sleep that it waits for: the group hears it. */
static void the_group_hears_sigterm_not_only_its_leader(void **state)
{
	struct shell shell = shell_of("trap : TERM; sleep 60; echo ended");

	(void)state;
	shell.run.timeout_s = 1;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_true(shell.result.timed_out);
	assert_int_equal(shell.result.signal, 0);
	assert_non_null(strstr(shell.result.output, "ended\n"));
	run_result_done(&shell.result);
}

static void a_deadline_holds_against_endless_output(void **state)
{
	struct shell shell = shell_of("exec yes");

	(void)state;
	shell.run.timeout_s = 1;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_true(shell.result.timed_out);
	assert_int_equal(shell.result.size, 4096);
	assert_true(shell.seconds < 10);
	run_result_done(&shell.result);
}

static void what_outlives_the_command_is_ended(void **state)
{
	struct shell shell = shell_of("sleep 60 >/dev/null 2>&1 & echo $!");

	(void)state;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_int_equal(shell.result.status, 0);
	assert_false(shell.result.timed_out);
	assert_true(shell.seconds < 8);
	assert_false(is_alive(shell.result.output));
	run_result_done(&shell.result);
}

static void a_daemon_that_holds_the_output_is_not_waited_for(void **state)
{
	/* It has left the group before the command ends: the sixth word is its session.
	 */
	struct shell shell =
		shell_of("setsid sleep 20 & p=$!; s=; until [ \"$s\" = $p ]; do "
			 "read -r a b c d e s f </proc/$p/stat; done; echo $p");

	(void)state;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_true(shell.seconds < 10);
	assert_true(is_alive(shell.result.output));
	assert_int_equal(kill(number(shell.result.output), SIGKILL), 0);
	run_result_done(&shell.result);
}

static void the_newest_output_is_kept(void **state)
{
	struct shell shell = shell_of("printf 'abcdef'; sleep 0.2; printf 'gh\\000ij'");

	(void)state;
	shell.run.output_limit = 6;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_string_equal(shell.result.output, "fgh?ij");
	assert_int_equal(shell.result.size, 6);
	run_result_done(&shell.result);
}

static void the_log_gets_all_output(void **state)
{
	struct shell shell = shell_of("printf 'first '; printf 'second'");
	char text[32] = "", path[] = "/tmp/vgpu-test-log-XXXXXX";
	int log_fd = mkostemp(path, O_CLOEXEC);

	(void)state;
	assert_true(log_fd > 0);
	assert_int_equal(unlink(path), 0);
	shell.run.log_fd = log_fd;
	shell.run.output_limit = 3;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_int_equal(pread(log_fd, text, sizeof(text) - 1, 0), 12);
	assert_string_equal(text, "first second");
	assert_int_equal(close(log_fd), 0);
	run_result_done(&shell.result);
}

static void cancelling_ends_it_as_interrupted(void **state)
{
	char pid_file[] = "/tmp/vgpu-test-pid-XXXXXX", script[128], pid[16] = "";
	int ends[2], fd = mkostemp(pid_file, O_CLOEXEC);
	pid_t child;

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	(void)snprintf(script, sizeof(script), "sleep 60 & echo $! >%s; wait", pid_file);
	struct shell shell = shell_of(script);
	child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		/* Once it is at work. */
		while (pread(fd, pid, sizeof(pid) - 1, 0) <= 0)
			(void)usleep(10000);
		_exit(write(ends[1], "x", 1) == 1 ? 0 : 1);
	}
	shell_run_in(&shell, "/", ends[0]);

	assert_int_equal(shell.status, -1);
	assert_true(shell.err.interrupted);
	assert_null(shell.result.output);
	assert_true(shell.seconds < 10);
	assert_true(pread(fd, pid, sizeof(pid) - 1, 0) > 0);
	assert_false(is_alive(pid));
	assert_int_equal(waitpid(child, NULL, 0), child);

	/* Once asked to stop, nothing is started any more. */
	shell = shell_of("echo started >&2");
	shell_run_in(&shell, "/", ends[0]);
	assert_true(shell.err.interrupted);
	assert_int_equal(unlink(pid_file), 0);
	(void)close(fd);
	(void)close(ends[0]);
	(void)close(ends[1]);
}

/* A killed agent cannot end what it started: the kernel does. */
static void a_command_does_not_outlive_the_agent(void **state)
{
	char path[] = "/tmp/vgpu-test-pid-XXXXXX", script[128], pid[16] = "";
	int fd = mkostemp(path, O_CLOEXEC);
	pid_t agent;

	(void)state;
	assert_true(fd >= 0);
	(void)snprintf(script, sizeof(script), "echo $$ >%s; exec sleep 60", path);
	agent = fork();
	assert_true(agent >= 0);
	if (agent == 0) {
		struct shell shell = shell_of(script);

		shell_run(&shell);
		_exit(0);
	}
	for (int i = 0; i < 500 && pread(fd, pid, sizeof(pid) - 1, 0) <= 0; i++)
		(void)usleep(10000);
	assert_true(is_alive(pid));

	assert_int_equal(kill(agent, SIGKILL), 0);
	assert_int_equal(waitpid(agent, NULL, 0), agent);

	for (int i = 0; i < 500 && is_alive(pid); i++)
		(void)usleep(10000);
	assert_false(is_alive(pid));
	assert_int_equal(unlink(path), 0);
	(void)close(fd);
}

static void a_program_that_is_not_there_is_named(void **state)
{
	struct shell shell = shell_of("");

	(void)state;
	shell.argv[0] = "/usr/bin/no-such-program";
	shell_run(&shell);

	assert_int_equal(shell.status, -1);
	assert_int_equal(shell.err.code, ERROR_PREREQUISITES);
	assert_int_equal(shell.err.errnum, ENOENT);
	assert_string_equal(shell.err.text, "starting /usr/bin/no-such-program: "
					    "No such file or directory");
}

static void a_missing_folder_is_told_from_a_missing_program(void **state)
{
	struct shell shell = shell_of("true");

	(void)state;
	shell.run.dir = "/no/such/folder";
	shell_run(&shell);

	assert_int_equal(shell.status, -1);
	assert_string_equal(shell.err.text, "changing folder for /bin/sh: "
					    "No such file or directory");
}

static void the_environment_is_our_own(void **state)
{
	static const char *const env[] = { "TMPDIR=/var/tmp", "HOME=/nowhere", NULL };
	struct shell shell = shell_of("exec env");

	(void)state;
	assert_int_equal(setenv("ARCH", "amd64", 1), 0);
	shell.argv[0] = "/usr/bin/env";
	shell.argv[1] = NULL;
	shell.run.env = env;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_string_equal(shell.result.output,
			    "PATH=/usr/sbin:/usr/bin:/sbin:/bin\nLC_ALL=C\n"
			    "TMPDIR=/var/tmp\nHOME=/nowhere\n");
	run_result_done(&shell.result);
	assert_int_equal(unsetenv("ARCH"), 0);
}

/* The open descriptors of the command: what was given, and the folder that sh reads,
 * as 5. */
static void check_descriptors(void)
{
	struct shell shell = shell_of("cd /proc/$$/fd && echo * && cat <&3 && cat <&4; "
				      "readlink /proc/$$/fd/0");
	int leak = fcntl(STDIN_FILENO, F_DUPFD, 20); /* deliberately not close-on-exec */
	int given[2], files[2];

	assert_true(leak >= 20);
	assert_int_equal(pipe2(given, O_CLOEXEC), 0);
	assert_int_equal(write(given[1], "piped\n", 6), 6);
	assert_int_equal(close(given[1]), 0);
	files[0] = given[0];
	files[1] = open("/dev/null", O_RDONLY | O_CLOEXEC);
	shell.run.fds = files;
	shell.run.fd_count = 2;
	shell_run(&shell);

	assert_int_equal(shell.status, 0);
	assert_string_equal(shell.result.output, "0 1 2 3 4 5\npiped\n/dev/null\n");
	run_result_done(&shell.result);
	(void)close(leak);
	(void)close(files[0]);
	(void)close(files[1]);
}

static void only_the_given_files_are_open(void **state)
{
	(void)state;
	check_descriptors();
}

static void an_old_kernel_closes_them_one_by_one(void **state)
{
	(void)state;
	refused_call = SYS_close_range;
	check_descriptors();
	refused_call = 0;
}

static void an_old_kernel_without_pidfd_still_notices_the_end(void **state)
{
	struct shell shell = shell_of("exec >/dev/null 2>&1; sleep 0.3; exit 4");

	(void)state;
	refused_call = SYS_pidfd_open;
	shell_run(&shell);
	refused_call = 0;

	assert_int_equal(shell.status, 0);
	assert_int_equal(shell.result.status, 4);
	assert_true(shell.seconds < 3);
	run_result_done(&shell.result);
}

/* sh would set these itself: read them of a program without a shell. */
static void signals_are_as_at_birth(void **state)
{
	struct shell shell = shell_of("");
	sigset_t blocked, before;
	const char *ignored;

	(void)state;
	assert_int_equal(sigemptyset(&blocked), 0);
	assert_int_equal(sigaddset(&blocked, SIGTERM), 0);
	assert_int_equal(pthread_sigmask(SIG_BLOCK, &blocked, &before), 0);
	assert_true(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
	shell.argv[0] = "/bin/grep";
	shell.argv[1] = "^Sig[BI]";
	shell.argv[2] = "/proc/self/status";
	shell_run(&shell);
	assert_true(signal(SIGPIPE, SIG_DFL) != SIG_ERR);
	assert_int_equal(pthread_sigmask(SIG_SETMASK, &before, NULL), 0);

	assert_int_equal(shell.status, 0);
	assert_non_null(strstr(shell.result.output, "SigBlk:\t0000000000000000\n"));
	ignored = strstr(shell.result.output, "SigIgn:\t");
	assert_non_null(ignored);
	/* 32 and 33 are libc's: nobody can change what this test inherits of them. */
	assert_int_equal(strtoull(ignored + 8, NULL, 16) & ~(UINT64_C(3) << 31), 0);
	run_result_done(&shell.result);
}

static void another_root_is_entered(void **state)
{
	struct sysroot *sysroot = *state;
	struct shell shell = shell_of("");

	if (geteuid() != 0)
		skip();
	shell.argv[0] = "/bin/sh";
	shell_run_in(&shell, sysroot->dir, -1);

	/* Only the machine's own root has a shell. */
	assert_int_equal(shell.status, -1);
	assert_string_equal(shell.err.text,
			    "starting /bin/sh: No such file or directory");
}

static void run_without_a_deadline_is_refused(void **state)
{
	struct shell shell = shell_of("true");

	(void)state;
	shell.run.timeout_s = 0;
	shell_run(&shell);
	assert_int_equal(shell.status, -1);
	assert_string_equal(shell.err.text, "/bin/sh without a time limit");

	shell = shell_of("true");
	shell.argv[0] = "sh";
	shell_run(&shell);
	assert_int_equal(shell.status, -1);
}

static void checked_names_the_end_and_the_last_line(void **state)
{
	static const struct {
		const char *script, *text;
	} cases[] = {
		{ "echo first; echo 'no\033space'; echo; exit 2",
		  "sh: exit status 2: no?space" },
		{ "exit 1", "sh: exit status 1" },
		{ "kill -9 $$", "sh: killed by signal 9" },
	};
	struct runner runner = run_runner(-1);
	struct root root = ROOT_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(root_open("/", &root, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shell shell = shell_of(cases[i].script);

		shell.run.argv = shell.argv;
		shell.run.output_limit = 0;
		assert_int_equal(run_checked(&runner, &root, &shell.run, &err), -1);
		assert_string_equal(err.text, cases[i].text);
		assert_int_equal(err.code, ERROR_INTERNAL);
	}
	root_close(&root);
}

static void only_an_answer_is_a_questions_result(void **state)
{
	static const struct {
		const char *script;
		int last;
		const char *text; /* NULL: it is an answer */
	} cases[] = {
		{ "exit 0", 0, NULL },
		{ "exit 1", 1, NULL },
		{ "exit 125", RUN_STATUS_MAX, NULL },
		{ "exit 1", 0, "sh: exit status 1" },
		{ "echo lost >&2; exit 2", 1, "sh: exit status 2: lost" },
		{ "/nonexistent/program", RUN_STATUS_MAX, "sh: exit status 127: " },
		{ "kill -11 $$", RUN_STATUS_MAX, "sh: killed by signal 11" },
		{ "sleep 60", RUN_STATUS_MAX, "sh: no end after 1 s" },
	};
	struct runner runner = run_runner(-1);
	struct root root = ROOT_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(root_open("/", &root, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct shell shell = shell_of(cases[i].script);
		int result;

		shell.run.argv = shell.argv;
		shell.run.timeout_s = i + 1 == ARRAY_SIZE(cases) ? 1 : 20;
		result = run_question(&runner, &root, &shell.run, cases[i].last,
				      &shell.result, &err);
		assert_int_equal(result, cases[i].text ? -1 : 0);
		if (cases[i].text) {
			assert_non_null(strstr(err.text, cases[i].text));
			assert_int_equal(err.code, ERROR_INTERNAL);
			assert_null(shell.result.output);
		}
		run_result_done(&shell.result);
	}
	root_close(&root);
}

static void find_follows_links_inside_the_root(void **state)
{
	const struct sysroot *sysroot = *state;
	char path[128], link[128];

	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_mkdir(sysroot, "/etc/alternatives");
	sysroot_write(sysroot, "/usr/bin/gcc-12", "");
	sysroot_write(sysroot, "/usr/bin/not-executable", "");
	(void)snprintf(path, sizeof(path), "%s/usr/bin/gcc-12", sysroot->dir);
	assert_int_equal(chmod(path, 0755), 0);
	(void)snprintf(link, sizeof(link), "%s/etc/alternatives/gcc", sysroot->dir);
	assert_int_equal(symlink("/usr/bin/gcc-12", link), 0);
	(void)snprintf(link, sizeof(link), "%s/usr/bin/gcc", sysroot->dir);
	assert_int_equal(symlink("/etc/alternatives/gcc", link), 0);

	assert_string_equal(run_find(&sysroot->root, "gcc", path, sizeof(path)),
			    "/usr/bin/gcc");
	assert_null(run_find(&sysroot->root, "not-executable", path, sizeof(path)));
	assert_null(run_find(&sysroot->root, "sh", path, sizeof(path)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(output_and_status_come_back),
		cmocka_unit_test(death_by_a_signal_is_no_exit_status),
		cmocka_unit_test(the_deadline_ends_the_whole_group),
		cmocka_unit_test(time_in_which_we_did_not_run_does_not_count),
		cmocka_unit_test(what_ignores_sigterm_is_killed_after_the_grace),
		cmocka_unit_test(the_group_hears_sigterm_not_only_its_leader),
		cmocka_unit_test(a_deadline_holds_against_endless_output),
		cmocka_unit_test(what_outlives_the_command_is_ended),
		cmocka_unit_test(a_daemon_that_holds_the_output_is_not_waited_for),
		cmocka_unit_test(the_newest_output_is_kept),
		cmocka_unit_test(the_log_gets_all_output),
		cmocka_unit_test(cancelling_ends_it_as_interrupted),
		cmocka_unit_test(a_command_does_not_outlive_the_agent),
		cmocka_unit_test(a_program_that_is_not_there_is_named),
		cmocka_unit_test(a_missing_folder_is_told_from_a_missing_program),
		cmocka_unit_test(the_environment_is_our_own),
		cmocka_unit_test(only_the_given_files_are_open),
		cmocka_unit_test(an_old_kernel_closes_them_one_by_one),
		cmocka_unit_test(an_old_kernel_without_pidfd_still_notices_the_end),
		cmocka_unit_test(signals_are_as_at_birth),
		cmocka_unit_test_setup_teardown(another_root_is_entered, sysroot_setup,
						sysroot_teardown),
		cmocka_unit_test(run_without_a_deadline_is_refused),
		cmocka_unit_test(checked_names_the_end_and_the_last_line),
		cmocka_unit_test(only_an_answer_is_a_questions_result),
		cmocka_unit_test_setup_teardown(find_follows_links_inside_the_root,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("run", tests, NULL, NULL);
}
