/* wrap: clock_sleep clock_monotonic */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manager.h"

#include <string.h>

#include "base/clock.h"
#include "support/cmocka.h"
#include "support/script.h"

static double now;

int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err);
int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err)
{
	(void)cancel_fd;
	(void)err;
	now += seconds;
	return 0;
}

double __wrap_clock_monotonic(void);
double __wrap_clock_monotonic(void)
{
	return now;
}

static const char *const headers[] = { "linux-headers-6.1.0-37-cloud-amd64", NULL };

static int install(struct script *script, enum manager_kind kind, struct error *err)
{
	struct root root = ROOT_INIT;
	struct manager manager = {
		.kind = kind,
		.runner = &script->runner,
		.root = &root,
	};

	now = 0;
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
		"--no-install-recommends -o DPkg::Lock::Timeout=600 -o Acquire::Retries=3 "
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

static void a_lock_is_waited_for_up_to_a_deadline(void **state)
{
	static const char locked[] = "E: Could not get lock /var/lib/apt/lists/lock\n";
	static const struct script_answer passing[] = {
		{ .match = " install ", .status = 100, .output = locked, .times = 3 },
		{ .match = " install " },
		{ 0 },
	};
	static const struct script_answer lasting[] = {
		{ .match = " install ", .status = 100, .output = locked },
		{ 0 },
	};
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, passing, NULL);
	assert_int_equal(install(&script, MANAGER_APT, &err), 0);
	assert_true(now > 10 && now < 30);

	script_init(&script, lasting, NULL);
	assert_int_equal(install(&script, MANAGER_APT, &err), -1);
	assert_true(now >= 600 && now < 660);
	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.hint, "another package manager"));
}

static void an_interrupted_dpkg_is_repaired(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = " install ",
		  .status = 100,
		  .times = 1,
		  .output = "E: dpkg was interrupted, you must manually run "
			    "'dpkg --configure -a' to correct the problem.\n" },
		{ .match = "/usr/bin/dpkg --force-confold --configure -a" },
		{ .match = " install " },
		{ 0 },
	};
	struct script script;
	struct error err;

	(void)state;
	script_init(&script, answers, NULL);

	assert_int_equal(install(&script, MANAGER_APT, &err), 0);

	assert_int_equal(script_count(&script, "--configure"), 1);
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
		cmocka_unit_test(a_lock_is_waited_for_up_to_a_deadline),
		cmocka_unit_test(an_interrupted_dpkg_is_repaired),
		cmocka_unit_test(a_hanging_manager_is_not_tried_again),
	};

	return cmocka_run_group_tests_name("manager", tests, NULL, NULL);
}
