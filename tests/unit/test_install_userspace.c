/* wrap: fstatvfs fstatvfs64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/install.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/full.h"
#include "support/script.h"
#include "support/sysroot.h"

#define TREE "/var/cache/vgpu-guest-agent/tree"
#define TEMP "/var/cache/vgpu-guest-agent/.tmp"
#define LOG TEMP "/nvidia-installer.log"
#define RUN_LOG "/var/log/vgpu-guest-agent/run.log"
#define HELP_525                                                                        \
	"  -s, --silent\n  --no-kernel-modules\n  --no-nouveau-check\n  --no-x-check\n" \
	"  --no-rpms\n  --dkms, --no-dkms\n"                                            \
	"  --install-compat32-libs, --no-install-compat32-libs\n"                       \
	"  --no-check-for-alternate-installs\n"
#define HELP_470 "  -s, --silent\n  --no-kernel-module\n  --dkms\n  --no-rpms\n"
#define SAYS_525                                                                       \
	"TMPDIR=" TEMP " " TREE "/nvidia-installer --silent --no-kernel-modules "      \
	"--no-nouveau-check --no-x-check --no-check-for-alternate-installs --no-rpms " \
	"--no-dkms --no-install-compat32-libs --log-file-name=" LOG " --tmpdir=" TEMP  \
	"\n"
#define SAYS_470                                                                 \
	"TMPDIR=" TEMP " " TREE "/nvidia-installer --silent --no-kernel-module " \
	"--no-rpms --log-file-name=" LOG " --tmpdir=" TEMP "\n"

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_mkdir(*state, TREE);
	sysroot_write(*state, TREE "/nvidia-installer", "#!/bin/sh\n");
	sysroot_write(*state, TREE "/.manifest", "");
	return 0;
}

static void leave_smi(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;
	char path[128];

	(void)run;
	sysroot_write(sysroot, "/usr/bin/nvidia-smi", "");
	(void)snprintf(path, sizeof(path), "%s/usr/bin/nvidia-smi", sysroot->dir);
	assert_int_equal(chmod(path, 0755), 0);
	sysroot_write(sysroot, LOG, "-> Installation is now complete.\n");
}

static void leave_log(struct script *script, const struct run *run)
{
	(void)run;
	sysroot_write(script->context, LOG,
		      "-> Checking.\nERROR: The file 'x'  is damaged.\n"
		      "ERROR: Installation has failed.  Please see the file.\n");
}

static int install(const struct sysroot *sysroot, struct script *script, int log_fd,
		   struct error *err)
{
	struct stat st;
	int result;

	*err = ERROR_INIT;
	result = install_userspace(&script->runner, &sysroot->root, TREE, RUN_LOG, log_fd,
				   err);
	assert_false(root_stat(&sysroot->root, TEMP, &st));
	return result;
}

static void only_options_that_it_names_are_used(void **state)
{
	static const struct {
		const char *help, *line;
	} cases[] = { { HELP_525, SAYS_525 }, { HELP_470, SAYS_470 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = TREE "/nvidia-installer --advanced-options\n",
			  .output = cases[i].help },
			{ .match = " --silent ", .act = leave_smi },
			{ 0 },
		};
		const struct sysroot *sysroot = *state;
		struct error err;
		struct script script;

		script_init(&script, answers, *state);
		if (install(sysroot, &script, 0, &err) < 0)
			fail_msg("%s", err.text);
		assert_non_null(strstr(script.log, cases[i].line));
	}
}

static void an_installer_that_must_touch_modules_is_not_run(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "--advanced-options", .output = "  --silent\n" }, { 0 }
	};
	struct error err;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(install(*state, &script, 0, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
}

static void the_cause_comes_from_the_log(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "--advanced-options", .output = HELP_525 },
		{ .match = " --silent ", .status = 1, .act = leave_log },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	char path[128], text[256] = "";
	struct error err;
	struct script script;
	int log_fd;

	script_init(&script, answers, *state);
	(void)snprintf(path, sizeof(path), "%s/log", sysroot->dir);
	log_fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	assert_true(log_fd > 0);

	assert_int_equal(install(sysroot, &script, log_fd, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text,
			    "nvidia-installer: exit status 1: The file 'x' is damaged.");
	assert_non_null(strstr(err.hint, RUN_LOG));
	assert_true(pread(log_fd, text, sizeof(text) - 1, 0) > 0);
	assert_non_null(strstr(text, "ERROR: The file 'x'  is damaged.\n"));
	assert_int_equal(close(log_fd), 0);
}

static void the_file_systems_say_whether_a_full_disk_was_the_cause(void **state)
{
	static const struct {
		int status, signal;
		bool full;
		enum error_code code;
		bool passing;
	} cases[] = {
		{ 135, 0, false, ERROR_INSTALL, true },
		{ 0, 7, false, ERROR_INSTALL, true },
		{ 0, 7, true, ERROR_PREREQUISITES, true },
		{ 1, 0, true, ERROR_PREREQUISITES, true },
		{ 1, 0, false, ERROR_INSTALL, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "--advanced-options", .output = HELP_525 },
			{ .match = " --silent ",
			  .status = cases[i].status,
			  .signal = cases[i].signal },
			{ 0 },
		};
		struct error err;
		struct script script;

		script_init(&script, answers, *state);
		full_now = cases[i].full;
		assert_int_equal(install(*state, &script, 0, &err), -1);
		full_now = false;
		assert_int_equal(err.code, cases[i].code);
		assert_int_equal(err.passing, cases[i].passing);
		assert_non_null(err.hint[0] ? err.hint : NULL);
	}
}

static void success_without_nvidia_smi_is_none(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "--advanced-options", .output = HELP_525 },
		{ .match = " --silent " },
		{ 0 },
	};
	struct error err;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(install(*state, &script, 0, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, "nvidia-smi"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(only_options_that_it_names_are_used),
		TEST(an_installer_that_must_touch_modules_is_not_run),
		TEST(the_cause_comes_from_the_log),
		TEST(the_file_systems_say_whether_a_full_disk_was_the_cause),
		TEST(success_without_nvidia_smi_is_none),
	};

	return cmocka_run_group_tests_name("install_userspace", tests, NULL, NULL);
}
