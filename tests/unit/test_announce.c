/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/license/announce.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault/fault.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

static const struct script_answer answers[] = { { .match = "systemctl" }, { 0 } };

static int setup(void **state)
{
	char path[128];

	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/run/systemd/system");
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_write(*state, "/usr/bin/systemctl", "#!/bin/sh\n");
	(void)snprintf(path, sizeof(path), "%s/usr/bin/systemctl",
		       ((struct sysroot *)*state)->dir);
	assert_int_equal(chmod(path, 0755), 0);
	return 0;
}

static int announce(const struct sysroot *sysroot, struct script *script, bool licensed,
		    struct error *err)
{
	cleanup_json struct json *status =
		json_build("{s:i, s:b}", "schema", 1, "licensed", licensed);

	return announce_license(&script->runner, &sysroot->root, status, licensed, false,
				err);
}

static void a_license_is_a_status_a_file_and_a_target(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	struct stat st;

	script_init(&script, answers, NULL);
	assert_int_equal(announce(sysroot, &script, true, &err), 0);

	sysroot_assert_text(sysroot, PATHS_STATUS, "{\"schema\":1,\"licensed\":true}");
	assert_true(root_stat(&sysroot->root, PATHS_STATUS, &st));
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_true(announce_is_licensed(&sysroot->root));
	assert_int_equal(script_count(&script, "--no-block start " ANNOUNCE_TARGET), 1);
}

static void a_target_that_is_reached_is_not_started_again(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_json struct json *status = json_build("{s:b}", "licensed", true);
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, NULL);
	assert_int_equal(announce_license(&script.runner, &sysroot->root, status, true,
					  true, &err),
			 0);

	assert_true(announce_is_licensed(&sysroot->root));
	assert_int_equal(script_count(&script, "systemctl"), 0);
}

static void a_lost_license_takes_file_and_target_back(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, NULL);
	assert_int_equal(announce(sysroot, &script, true, &err), 0);
	assert_int_equal(announce(sysroot, &script, false, &err), 0);
	assert_int_equal(announce(sysroot, &script, false, &err), 0);

	sysroot_assert_text(sysroot, PATHS_STATUS, "{\"schema\":1,\"licensed\":false}");
	assert_false(announce_is_licensed(&sysroot->root));
	assert_int_equal(script_count(&script, "stop " ANNOUNCE_TARGET), 1);
}

static void nothing_leaves_no_file(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, NULL);
	assert_int_equal(announce(sysroot, &script, true, &err), 0);
	assert_int_equal(announce_nothing(&script.runner, &sysroot->root, &err), 0);
	assert_int_equal(announce_nothing(&script.runner, &sysroot->root, &err), 0);

	sysroot_assert_entries(sysroot, PATHS_RUN, 0);
	assert_int_equal(script_count(&script, "stop " ANNOUNCE_TARGET), 1);
}

static void without_systemd_there_is_no_target(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	assert_int_equal(root_unlink(&sysroot->root, "/run/systemd/system", &err), 0);
	script_init(&script, answers, NULL);
	assert_int_equal(announce(sysroot, &script, true, &err), 0);

	assert_true(announce_is_licensed(&sysroot->root));
	assert_int_equal(script_count(&script, "systemctl"), 0);
}

/* Whoever reads the file `licensed` believes it. */
static void a_lost_license_is_never_announced_whatever_breaks(void **state)
{
	const struct sysroot *sysroot = *state;
	bool fired = true;

	for (int nth = 1; fired; nth++) {
		struct error err = ERROR_INIT;
		struct script script;
		int result;

		fault_arm(0);
		script_init(&script, answers, NULL);
		assert_int_equal(announce(sysroot, &script, true, &err), 0);

		fault_arm(nth);
		result = announce(sysroot, &script, false, &err);
		fired = fault_fired();
		fault_arm(0);
		assert_int_equal(result, fired ? -1 : 0);
		assert_false(announce_is_licensed(&sysroot->root));
		assert_int_equal(script_count(&script, "stop " ANNOUNCE_TARGET), 1);
	}
}

/* The monitor's way; `time` differs from look to look. Whether the status was written. */
static bool announce_only_files(const struct sysroot *sysroot, const char *time,
				bool licensed)
{
	cleanup_json struct json *status = json_build(
		"{s:i, s:s, s:b}", "schema", 1, "timestamp", time, "licensed", licensed);
	struct error err = ERROR_INIT;
	bool changed = false;

	assert_int_equal(announce_files(&sysroot->root, status, licensed, &changed, &err),
			 0);
	return changed;
}

static void another_time_alone_is_nothing_new(void **state)
{
	const struct sysroot *sysroot = *state;

	assert_true(announce_only_files(sysroot, "1", true));
	assert_false(announce_only_files(sysroot, "2", true));

	sysroot_assert_text(sysroot, PATHS_STATUS,
			    "{\"schema\":1,\"timestamp\":\"1\",\"licensed\":true}");
	assert_true(announce_is_licensed(&sysroot->root));
}

static void a_change_is_written_with_its_time(void **state)
{
	const struct sysroot *sysroot = *state;

	(void)announce_only_files(sysroot, "1", true);
	assert_true(announce_only_files(sysroot, "2", false));

	sysroot_assert_text(sysroot, PATHS_STATUS,
			    "{\"schema\":1,\"timestamp\":\"2\",\"licensed\":false}");
	assert_false(announce_is_licensed(&sysroot->root));
}

static void a_damaged_status_is_written_again(void **state)
{
	const struct sysroot *sysroot = *state;

	(void)announce_only_files(sysroot, "1", true);
	sysroot_write(sysroot, PATHS_STATUS, "{\"schema\":1,\"licen");

	assert_true(announce_only_files(sysroot, "2", true));
}

/* The monitor's folder, and in it whatever that user likes. */
static void give_away(const struct sysroot *sysroot)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(fchmodat(sysroot->root.fd, ".", 0755, 0), 0);
	sysroot_mkdir(sysroot, PATHS_RUN);
	assert_int_equal(fchownat(sysroot->root.fd, &PATHS_RUN[1], 65534, 65534, 0), 0);
}

static void in_the_monitors_folder_root_has_the_monitors_rights(void **state)
{
	static const char *const paths[] = { PATHS_STATUS, PATHS_LICENSED };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	struct stat st;

	give_away(sysroot);
	script_init(&script, answers, NULL);
	if (announce(sysroot, &script, true, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		assert_true(root_stat(&sysroot->root, paths[i], &st));
		assert_int_equal(st.st_uid, 65534);
	}
	announce_change(&sysroot->root, true);
	sysroot_assert_entries(sysroot, PATHS_RUN, 2);
	assert_int_equal(announce(sysroot, &script, false, &err), 0);
	sysroot_assert_entries(sysroot, PATHS_RUN, 1);
	assert_int_equal(announce_nothing(&script.runner, &sysroot->root, &err), 0);
	sysroot_assert_entries(sysroot, PATHS_RUN, 0);
}

/* A root that worked by path would write into the folder behind the link. */
static void a_link_in_its_place_leads_root_nowhere(void **state)
{
	const struct sysroot *sysroot = *state;
	char full[256], target[256];
	struct error err = ERROR_INIT;
	struct script script;

	give_away(sysroot);
	sysroot_mkdir(sysroot, "/etc");
	(void)snprintf(full, sizeof(full), "%s" PATHS_RUN, sysroot->dir);
	(void)snprintf(target, sizeof(target), "%s/run/old", sysroot->dir);
	assert_int_equal(rename(full, target), 0);
	assert_int_equal(symlink("../etc", full), 0);
	assert_int_equal(lchown(full, 65534, 65534), 0);

	script_init(&script, answers, NULL);
	assert_int_equal(announce(sysroot, &script, true, &err), -1);
	sysroot_assert_entries(sysroot, "/etc", 0);
}

static void a_change_of_the_driver_is_marked_while_it_lasts(void **state)
{
	const struct sysroot *sysroot = *state;
	struct stat st;

	announce_change(&sysroot->root, true);
	assert_true(root_stat(&sysroot->root, PATHS_CHANGING, &st));
	assert_true(announce_is_changing(&sysroot->root));
	announce_change(&sysroot->root, false);
	assert_false(announce_is_changing(&sysroot->root));
	assert_false(root_stat(&sysroot->root, PATHS_CHANGING, &st));
}

static void a_mark_dies_with_its_maker(void **state)
{
	const struct sysroot *sysroot = *state;
	char another[64];
	const char *const marks[] = { "",     "x", "1", "0 0", "99999999999999999999 1",
				      another };
	pid_t pid = fork();

	if (pid == 0) {
		announce_change(&sysroot->root, true);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_false(announce_is_changing(&sysroot->root));

	/* Its number is another process's now. */
	(void)snprintf(another, sizeof(another), "%d 1\n", (int)getpid());
	for (size_t i = 0; i < ARRAY_SIZE(marks); i++) {
		sysroot_write(sysroot, PATHS_CHANGING, marks[i]);
		assert_false(announce_is_changing(&sysroot->root));
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_license_is_a_status_a_file_and_a_target),
		TEST(a_target_that_is_reached_is_not_started_again),
		TEST(a_lost_license_takes_file_and_target_back),
		TEST(nothing_leaves_no_file),
		TEST(without_systemd_there_is_no_target),
		TEST(another_time_alone_is_nothing_new),
		TEST(a_change_is_written_with_its_time),
		TEST(a_damaged_status_is_written_again),
		TEST(in_the_monitors_folder_root_has_the_monitors_rights),
		TEST(a_link_in_its_place_leads_root_nowhere),
		TEST(a_change_of_the_driver_is_marked_while_it_lasts),
		TEST(a_mark_dies_with_its_maker),
		TEST(a_lost_license_is_never_announced_whatever_breaks),
	};

	return cmocka_run_group_tests_name("announce", tests, NULL, NULL);
}
