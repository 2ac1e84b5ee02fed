/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manager.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

static const char *const headers[] = { "linux-headers-6.1.0-37-cloud-amd64", NULL };

static int install(struct script *script, enum manager_kind kind, struct error *err)
{
	struct root root = ROOT_INIT;
	struct manager manager = {
		.kind = kind,
		.runner = &script->runner,
		.root = &root,
	};

	*err = ERROR_INIT;
	return manager_install(&manager, headers, err);
}

static void apt_is_asked_once_when_it_knows_the_package(void **state)
{
	static const struct script_answer answers[] = { { .match = " install " }, { 0 } };
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, answers, NULL);

	assert_int_equal(install(&script, MANAGER_APT, &err), 0);

	assert_string_equal(
		script.log,
		"DEBIAN_FRONTEND=noninteractive NEEDRESTART_SUSPEND=1 "
		"VGPU_GUEST_AGENT=1 /usr/bin/apt-get -y "
		"--no-install-recommends -o DPkg::Lock::Timeout=0 -o Acquire::Retries=3 "
		"-o DPkg::Options::=--force-confold install "
		"linux-headers-6.1.0-37-cloud-amd64\n");
}

static void stale_lists_are_refreshed_before_giving_up(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = " install ",
		  .status = 100,
		  .times = 1,
		  .output = "Reading package lists...\nE: Unable to locate package x\n" },
		{ .match = "apt-get -o Acquire::Retries=3 update" },
		{ .match = " install " },
		{ 0 },
	};
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, answers, NULL);

	assert_int_equal(install(&script, MANAGER_APT, &err), 0);

	assert_int_equal(script_count(&script, " update"), 1);
	assert_int_equal(script_count(&script, " install "), 2);
}

static void what_is_not_to_be_had_is_said_in_the_managers_words(void **state)
{
	static const struct {
		enum manager_kind kind;
		const char *output, *text;
	} cases[] = {
		{ MANAGER_APT,
		  "Building tree...\nE: Unable to locate package x\nE: more\n",
		  "apt-get: Unable to locate package x" },
		{ MANAGER_DNF,
		  "No match for argument: y\nError: Unable to find a match: y\n",
		  "dnf: Unable to find a match: y" },
		{ MANAGER_DNF, "Error: \n Problem: conflicting\033 requests\n",
		  "dnf: Problem: conflicting? requests" },
		{ MANAGER_APT, "", "apt-get: exit status 100" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = " install ",
			  .status = 100,
			  .output = cases[i].output },
			{ .match = " update" },
			{ .match = " makecache" },
			{ 0 },
		};
		struct script script;
		struct error err;

		script_init(&script, answers, NULL);
		assert_int_equal(install(&script, cases[i].kind, &err), -1);
		assert_int_equal(err.code, ERROR_PREREQUISITES);
		assert_string_equal(err.text, cases[i].text);
	}
}

/* What each says that does not wait for another, whose lock it is. */
static const struct {
	enum manager_kind kind;
	const char *output, *option;
} locked[] = {
	{ MANAGER_APT, "E: Could not get lock /var/lib/apt/lists/lock\n",
	  "DPkg::Lock::Timeout=0" },
	{ MANAGER_APT,
	  "dpkg: error: dpkg frontend lock was locked by another process with pid 7\n",
	  "DPkg::Lock::Timeout=0" },
	{ MANAGER_DNF, "Error: metadata already locked by 7\n", "exit_on_lock=True" },
	{ MANAGER_YUM,
	  "Another app is currently holding the yum lock; exiting as configured\n",
	  "exit_on_lock=True" },
	{ MANAGER_ZYPPER, "System management is locked by the application with pid 7\n",
	  "--non-interactive" },
};

static void a_lock_is_told_and_not_waited_for(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(locked); i++) {
		const struct script_answer answers[] = {
			{ .match = " install ",
			  .status = 100,
			  .output = locked[i].output },
			{ 0 },
		};
		struct script script;
		struct error err;

		script_init(&script, answers, NULL);
		assert_int_equal(install(&script, locked[i].kind, &err), -1);
		assert_int_equal(script_count(&script, " install "), 1);
		assert_int_equal(script_count(&script, locked[i].option), 1);
		assert_true(manager_was_locked(&err));
		assert_true(err.passing);
		assert_non_null(strstr(err.hint, "another package manager"));
	}
}

static void other_failures_are_no_locks(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "",
		  .status = 100,
		  .output = "E: Unable to locate package x\n" },
		{ 0 },
	};
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, answers, NULL);
	assert_int_equal(install(&script, MANAGER_APT, &err), -1);
	assert_false(manager_was_locked(&err));
}

/* Another process that holds this lock until the pipe is closed. */
static pid_t hold(const struct sysroot *sysroot, const char *path, int ret_pipe[2])
{
	char ready;
	pid_t pid;

	sysroot_write(sysroot, path, "");
	assert_int_equal(pipe(ret_pipe), 0);
	pid = fork();
	if (pid == 0) {
		struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
		int fd = openat(sysroot->root.fd, path + 1, O_RDWR);

		_exit(fcntl(fd, F_SETLK, &lock) < 0 || write(ret_pipe[1], "x", 1) != 1 ||
		      close(ret_pipe[1]) < 0 || pause());
	}
	assert_int_equal(read(ret_pipe[0], &ready, 1), 1);
	return pid;
}

/* rpm would wait for it, whatever the manager above it was told. */
static void no_manager_is_started_while_another_is_at_work(void **state)
{
	static const char *const locks[] = { "/var/lib/dpkg/lock-frontend",
					     "/var/lib/dpkg/lock",
					     "/var/lib/rpm/.rpm.lock" };
	static const struct script_answer answers[] = { { .match = "" }, { 0 } };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		struct manager manager = { .kind = MANAGER_APT, .root = &sysroot->root };
		struct error err = ERROR_INIT;
		struct script script;
		long holder = 0;
		int pipes[2];
		pid_t pid;

		sysroot_empty(sysroot);
		sysroot_mkdir(sysroot, "/var/lib/dpkg");
		sysroot_mkdir(sysroot, "/var/lib/rpm");
		script_init(&script, answers, NULL);
		manager.runner = &script.runner;
		assert_int_equal(manager_look(&sysroot->root, &holder),
				 MANAGER_LOCK_UNKNOWN);
		pid = hold(sysroot, locks[i], pipes);

		assert_int_equal(manager_look(&sysroot->root, &holder),
				 MANAGER_LOCK_HELD);
		assert_int_equal(holder, pid);
		assert_int_equal(manager_install(&manager, headers, &err), -1);
		assert_true(manager_was_locked(&err));
		assert_int_equal(manager_remove(&manager, "x", &err), -1);
		assert_true(manager_was_locked(&err));
		assert_string_equal(script.log, "");

		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		(void)close(pipes[0]);
		(void)close(pipes[1]);
		assert_int_equal(manager_look(&sysroot->root, &holder),
				 MANAGER_LOCK_FREE);
		assert_int_equal(manager_install(&manager, headers, &err), 0);
	}
}

/* What apt says of what dpkg has begun and not ended, and what ends it. */
static const struct {
	const char *says, *repair;
	bool removing; /* said of a removal, too */
} begun[] = {
	{ "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to "
	  "correct the problem.\n",
	  "/usr/bin/dpkg --force-confold --configure -a\n", true },
	{ "E: Internal Error, No file name for nvidia-linux-grid-525:amd64\n",
	  "/usr/bin/dpkg --force-confold --configure -a\n", true },
	{ "dpkg: error processing package x (--configure):\n package is in a very bad "
	  "inconsistent state; you should\n reinstall it before attempting "
	  "configuration\nE: Sub-process /usr/bin/dpkg returned an error code (1)\n",
	  "/usr/bin/dpkg --force-confold --unpack /root/x.deb\n", false },
};

static void what_dpkg_has_begun_is_ended(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2 * ARRAY_SIZE(begun); i++) {
		const size_t row = i / 2;
		const bool removing = i % 2;
		const struct script_answer answers[] = {
			{ .match = "apt-get",
			  .status = 100,
			  .times = 1,
			  .output = begun[row].says },
			{ .match = "" },
			{ 0 },
		};
		static const char *const packages[] = { "/root/x.deb", NULL };
		struct manager manager = { .kind = MANAGER_APT };
		const struct root root = ROOT_INIT;
		struct error err = ERROR_INIT;
		struct script script;

		if (removing && !begun[row].removing)
			continue;
		script_init(&script, answers, NULL);
		manager.runner = &script.runner;
		manager.root = &root;
		assert_int_equal(removing ? manager_remove(&manager, "x", &err)
					  : manager_install(&manager, packages, &err),
				 0);
		assert_int_equal(script_count(&script, begun[row].repair), 1);
		assert_int_equal(script_count(&script, "apt-get"), 2);
	}
}

/* apt has no word for it: the script's own are told. */
static void a_script_that_fails_again_is_what_is_told(void **state)
{
	const struct script_answer answers[] = {
		{ .match = "apt-get", .status = 100, .output = begun[1].says },
		{ .match = "--configure",
		  .status = 1,
		  .output = "Error! Bad return status for module build on kernel: 6.1\n"
			    "dpkg: error processing package x (--configure):\n"
			    " installed x package post-installation script subprocess "
			    "returned error exit status 10\n" },
		{ 0 },
	};
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, answers, NULL);

	assert_int_equal(install(&script, MANAGER_APT, &err), -1);

	assert_null(strstr(err.text, "Internal Error"));
	assert_non_null(strstr(err.text, "post-installation"));
	assert_int_equal(script_count(&script, "apt-get"), 1);
}

static void a_hanging_manager_is_not_tried_again(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = " install ", .signal = 15, .timed_out = true },
		{ 0 },
	};
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, answers, NULL);

	assert_int_equal(install(&script, MANAGER_DNF, &err), -1);

	assert_string_equal(err.text, "dnf: no end after 1800 s");
	assert_int_equal(script_count(&script, "dnf"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(apt_is_asked_once_when_it_knows_the_package),
		cmocka_unit_test(stale_lists_are_refreshed_before_giving_up),
		cmocka_unit_test(what_is_not_to_be_had_is_said_in_the_managers_words),
		cmocka_unit_test(a_lock_is_told_and_not_waited_for),
		cmocka_unit_test(other_failures_are_no_locks),
		cmocka_unit_test_setup_teardown(
			no_manager_is_started_while_another_is_at_work, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test(what_dpkg_has_begun_is_ended),
		cmocka_unit_test(a_script_that_fails_again_is_what_is_told),
		cmocka_unit_test(a_hanging_manager_is_not_tried_again),
	};

	return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
