/* wrap: readlink clock_sleep clock_monotonic command_noted_build command_noted_waits */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/execute.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/text.h"
#include "commands/agent.h"
#include "commands/noted.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static const struct sysroot *image;
static double now;

static bool lock_is_free(void)
{
	struct error busy = ERROR_INIT;
	cleanup_fd int fd = -1;

	return lock_take(&image->root, PATHS_LOCK, 0, -1, &fd, &busy) == 0;
}

/* The program lies in the image, and the worker beside it. */
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size);
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size)
{
	(void)path;
	return snprintf(buffer, size, "%s/usr/bin/vgpu-guest-agent", image->dir);
}

static bool free_while_waiting;

int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err);
int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err)
{
	(void)cancel_fd;
	(void)err;
	now += seconds;
	free_while_waiting &= lock_is_free();
	return 0;
}

double __wrap_clock_monotonic(void);
double __wrap_clock_monotonic(void)
{
	return now;
}

/* How many notes each look with the lock held finds, and whether there is one after it.
 */
static struct {
	unsigned looks, found[4];
	bool waits[4];
} noted;

size_t __wrap_command_noted_build(const struct agent *agent,
				  const struct request *request, int cancel_fd);
size_t __wrap_command_noted_build(const struct agent *agent,
				  const struct request *request, int cancel_fd)
{
	(void)agent;
	(void)request;
	(void)cancel_fd;
	assert_false(lock_is_free());
	return noted.looks < ARRAY_SIZE(noted.found) ? noted.found[noted.looks++] : 0;
}

bool __wrap_command_noted_waits(const struct root *root);
bool __wrap_command_noted_waits(const struct root *root)
{
	(void)root;
	assert_true(lock_is_free());
	return noted.looks < ARRAY_SIZE(noted.waits) && noted.waits[noted.looks];
}

/* So many calls of the command meet another package manager. */
static struct {
	int calls, locked;
	enum job job;
	bool interrupted;
	const char *outcome; /* of its only step */
} meeting;

static int meet(struct agent *agent, const struct request *request,
		struct json **ret_report, struct error *err)
{
	(void)request;
	*ret_report = json_build("{s:[{s:s}]}", "steps", "outcome", meeting.outcome);
	agent->context.job = meeting.job;
	assert_false(lock_is_free());
	if (meeting.interrupted)
		return error_set_interrupted(err);
	if (++meeting.calls > meeting.locked)
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES, "apt-get: process 7 holds the lock");
	err->errnum = EWOULDBLOCK;
	return -1;
}

static const char *retries; /* a setting, or NULL */

static int execute_with(int (*run)(struct agent *agent, const struct request *request,
				   struct json **ret_report, struct error *err),
			struct error *err)
{
	const struct command_call call = { .name = "meet",
					   .run = run,
					   .locks = true,
					   .reads_again = true,
					   .cancel_fd = -1 };
	const struct request request = { .options = { .root = image->dir,
						      .sets = { retries },
						      .set_count = retries != NULL } };
	struct json *report = NULL;
	const char *step;
	int result = command_execute(&call, &request, &report, &step, err);

	json_free(report);
	return result;
}

static int execute(struct error *err)
{
	return execute_with(meet, err);
}

static void begin(const struct sysroot *sysroot)
{
	image = sysroot;
	sysroot_empty(sysroot);
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_mkdir(sysroot, "/run");
	sysroot_mkdir(sysroot, PATHS_STATE);
	sysroot_program(sysroot, "/usr/bin/fetch-worker");
	sysroot_program(sysroot, "/usr/bin/net-worker");
	memset(&noted, 0, sizeof(noted));
	memset(&meeting, 0, sizeof(meeting));
	meeting.job = JOB_INSTALL;
	meeting.outcome = "unchanged";
	free_while_waiting = true;
	retries = NULL;
	now = 0;
}

/* Who holds its lock may call a hook that wants ours. */
static void the_lock_is_free_while_a_package_manager_is_waited_for(void **state)
{
	struct error err = ERROR_INIT;

	begin(*state);
	meeting.locked = 2;
	if (execute(&err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(meeting.calls, 3);
	assert_true(free_while_waiting);
	assert_true(now >= 10 && now <= 30);
}

static void a_package_manager_that_does_not_end_is_told(void **state)
{
	struct error err = ERROR_INIT;

	begin(*state);
	meeting.locked = 1000;
	assert_int_equal(execute(&err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.text, "process 7"));
	assert_true(now >= 600 && now < 660);
	assert_true(meeting.calls > 3 && meeting.calls < 20);
}

/* What has come between the last look with the lock and its release is seen after it. */
static void it_is_looked_once_more_after_the_lock_is_let_go(void **state)
{
	static const struct {
		unsigned found[4];
		bool waits[4];
		unsigned looks;
	} cases[] = {
		{ { 0 }, { false }, 1 },
		{ { 2 }, { false }, 1 },
		{ { 0, 1 }, { false, true }, 2 },
		{ { 1, 1, 1 }, { false, true, true }, 3 },
		{ { 0, 0 }, { false, true }, 2 }, /* what cannot be taken */
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		begin(*state);
		memcpy(noted.found, cases[i].found, sizeof(noted.found));
		memcpy(noted.waits, cases[i].waits, sizeof(noted.waits));
		assert_int_equal(execute(&err), 0);
		assert_int_equal(noted.looks, cases[i].looks);
		assert_true(lock_is_free());
	}
}

/* Their work is to leave nothing behind, and who is told to end ends. */
static void nothing_is_built_after_these(void **state)
{
	static const struct {
		enum job job;
		bool interrupted;
	} cases[] = { { JOB_SEAL, false }, { JOB_UNINSTALL, false }, { JOB_RUN, true } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		begin(*state);
		meeting.job = cases[i].job;
		meeting.interrupted = cases[i].interrupted;
		assert_int_equal(execute(&err), cases[i].interrupted ? -1 : 0);
		assert_int_equal(noted.looks, 0);
	}
}

/* A repository that is read while it is changed: what each reading finds wrong. */
static const struct readings {
	const char *wrong[6]; /* NULL: nothing */
	bool final;           /* a pin, which no other reading changes */
	const char *retries;
	enum error_code code;
	bool passing;
	int calls;
} readings[] = {
	{ { NULL }, false, NULL, ERROR_NONE, false, 1 },
	{ { "a", NULL }, false, NULL, ERROR_NONE, false, 2 },
	{ { "a", "b", "a", NULL }, false, NULL, ERROR_NONE, false, 4 },
	{ { "a", "a" }, false, NULL, ERROR_INTEGRITY, false, 2 },
	{ { "a", "b", "b" }, false, NULL, ERROR_INTEGRITY, false, 3 },
	{ { "a", "b", "c", "d", "e" }, false, NULL, ERROR_NETWORK, true, 5 },
	{ { "a" }, true, NULL, ERROR_INTEGRITY, false, 1 },
	{ { "a" }, false, "http.retries=0", ERROR_INTEGRITY, true, 1 },
};
static const struct readings *reading;

static int read_repository(struct agent *agent, const struct request *request,
			   struct json **ret_report, struct error *err)
{
	const char *wrong = reading->wrong[meeting.calls++];

	(void)agent;
	(void)request;
	*ret_report = json_build("{}");
	if (!wrong)
		return 0;
	(void)error_set(err, ERROR_INTEGRITY, "%s", wrong);
	return error_passing(err, !reading->final);
}

static void only_what_is_wrong_twice_in_the_same_way_is_wrong(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(readings); i++) {
		struct error err = ERROR_INIT;

		begin(*state);
		reading = &readings[i];
		retries = reading->retries;
		assert_int_equal(execute_with(read_repository, &err),
				 reading->code ? -1 : 0);

		if (reading->code) {
			assert_int_equal(err.code, reading->code);
			assert_int_equal(err.passing, reading->passing);
		}
		assert_int_equal(meeting.calls, reading->calls);
		assert_true(now >= 20 * (meeting.calls - 1) &&
			    now <= 40 * (meeting.calls - 1));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

/* Without setfiles in it: its first boot shall label it. */
static void an_image_is_labelled_behind_what_has_written(void **state)
{
	static const struct {
		enum job job;
		const char *outcome;
		bool expected;
	} rows[] = {
		{ JOB_INSTALL, "changed", true },   { JOB_SEAL, "changed", true },
		{ JOB_UNINSTALL, "changed", true }, { JOB_RUN, "failed", true },
		{ JOB_RUN, "unchanged", false },    { JOB_FETCH, "changed", false },
		{ JOB_MODULES, "changed", false },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		bool there;

		begin(sysroot);
		sysroot_mkdir(sysroot, "/etc/selinux/default/contexts/files");
		sysroot_write(sysroot, "/etc/selinux/config",
			      "SELINUX=enforcing\nSELINUXTYPE=default\n");
		sysroot_write(sysroot,
			      "/etc/selinux/default/contexts/files/file_contexts", "");
		meeting.job = rows[i].job;
		meeting.outcome = rows[i].outcome;

		assert_int_equal(execute(&err), 0);

		assert_int_equal(
			root_exists(&sysroot->root, "/.autorelabel", &there, &err), 0);
		if (there != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_image_is_labelled_behind_what_has_written, sysroot_setup,
			sysroot_teardown),
		TEST(the_lock_is_free_while_a_package_manager_is_waited_for),
		TEST(a_package_manager_that_does_not_end_is_told),
		TEST(it_is_looked_once_more_after_the_lock_is_let_go),
		TEST(nothing_is_built_after_these),
		TEST(only_what_is_wrong_twice_in_the_same_way_is_wrong),
	};

	return cmocka_run_group_tests_name("command_execute", tests, NULL, NULL);
}
