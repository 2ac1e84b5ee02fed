/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define USER 65534
#define FOLDER "/run/theirs"

static int setup(void **state)
{
	const struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	sysroot_mkdir(sysroot, FOLDER);
	assert_int_equal(fchmodat(sysroot->root.fd, ".", 0755, 0), 0);
	return 0;
}

static void give_away(const struct sysroot *sysroot, const char *path)
{
	if (geteuid() != 0)
		skip();
	assert_int_equal(fchownat(sysroot->root.fd, path + 1, USER, USER, 0), 0);
}

static int write_file(void *context, struct error *err)
{
	const struct sysroot *sysroot = context;

	return file_write_atomic(&sysroot->root, FOLDER "/file", "x", 1, 0644, err);
}

static void the_folders_owner_does_it(void **state)
{
	struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct stat st;

	give_away(sysroot, FOLDER);
	if (owner_do(&sysroot->root, FOLDER, write_file, sysroot, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(root_stat(&sysroot->root, FOLDER "/file", &st));
	assert_int_equal(st.st_uid, USER);
	assert_int_equal(st.st_gid, USER);
	assert_int_equal(geteuid(), 0);
}

/* Whatever the owner puts there leads to nothing that only root may touch. */
static void what_is_roots_alone_stays_so(void **state)
{
	struct sysroot *sysroot = *state;
	char full[256], target[256];
	struct error err = ERROR_INIT;
	struct stat st;

	give_away(sysroot, FOLDER);
	sysroot_mkdir(sysroot, "/etc");
	(void)snprintf(full, sizeof(full), "%s" FOLDER, sysroot->dir);
	(void)snprintf(target, sizeof(target), "%s/run/old", sysroot->dir);
	assert_int_equal(rename(full, target), 0);
	assert_int_equal(symlink("../etc", full), 0);
	assert_int_equal(lchown(full, USER, USER), 0);

	assert_int_equal(owner_do(&sysroot->root, FOLDER, write_file, sysroot, &err), -1);
	assert_int_equal(err.errnum, EACCES);
	assert_false(root_stat(&sysroot->root, "/etc/file", &st));
}

static int look_inside(void *context, struct error *err)
{
	gid_t groups[4];

	(void)context;
	if (geteuid() != USER || getegid() != USER || getgroups(4, groups) != 0 ||
	    setuid(0) == 0)
		return error_set(err, ERROR_INTERNAL, "more rights than the owner's");
	(void)error_set(err, ERROR_DRIVER, "said \033[2J from inside");
	return error_hint(err, "a hint");
}

static void nothing_of_roots_is_left_and_its_error_comes_back(void **state)
{
	struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	give_away(sysroot, FOLDER);
	assert_int_equal(owner_do(&sysroot->root, FOLDER, look_inside, NULL, &err), -1);
	assert_int_equal(err.code, ERROR_DRIVER);
	assert_string_equal(err.text, "said ?[2J from inside");
	assert_string_equal(err.hint, "a hint");
}

static int be_killed(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return raise(SIGKILL);
}

static void a_child_that_is_killed_is_an_error(void **state)
{
	struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	give_away(sysroot, FOLDER);
	assert_int_equal(owner_do(&sysroot->root, FOLDER, be_killed, NULL, &err), -1);
	assert_non_null(strstr(err.text, "the child was ended"));
}

static int count_calls(void *context, struct error *err)
{
	(void)err;
	++*(int *)context;
	return 0;
}

static void in_a_folder_of_our_own_there_is_no_child(void **state)
{
	struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	int calls = 0;

	assert_int_equal(owner_do(&sysroot->root, FOLDER, count_calls, &calls, &err), 0);
	assert_int_equal(owner_do(&sysroot->root, "/none", count_calls, &calls, &err), 0);
	assert_int_equal(calls, 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_folders_owner_does_it),
		TEST(what_is_roots_alone_stays_so),
		TEST(nothing_of_roots_is_left_and_its_error_comes_back),
		TEST(a_child_that_is_killed_is_an_error),
		TEST(in_a_folder_of_our_own_there_is_no_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
