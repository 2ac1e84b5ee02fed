/* SPDX-License-Identifier: Apache-2.0 */

/*
 * unpack_run() with a real sh, in a mount namespace where /var/cache is a file system
 * of the test's own: with room and without, with and without the right to execute.
 */

#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/paths.h"
#include "steps/fetch/unpack.h"
#include "support/cmocka.h"

#define FILE_PATH PATHS_CACHE "/driver.run"

/* An archive's head as NVIDIA's: it fails when the target is there already. */
#define HEAD                                                            \
	"#!/bin/sh\n"                                                   \
	"[ \"$1 $2\" = '--extract-only --target' ] || exit 1\n"         \
	"[ \"$4\" = --tmpdir ] && [ \"$5\" = \"$TMPDIR\" ] || exit 1\n" \
	"[ \"$SETUP_NOCHECK\" = 1 ] || exit 1\n"                        \
	"mkdir \"$3\" || exit 1\n"
#define GOOD HEAD "echo new >\"$3\"/nvidia-installer\n"

static struct root root = ROOT_INIT;

static int setup(void **state)
{
	(void)state;
	if (geteuid() == 0 && unshare(CLONE_NEWNS) == 0 &&
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0) {
		struct error err = ERROR_INIT;

		assert_int_equal(root_open("/", &root, &err), 0);
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	root_close(&root);
	return 0;
}

static int unmount(void **state)
{
	(void)state;
	if (root.fd >= 0)
		assert_int_equal(umount2("/var/cache", MNT_DETACH), 0);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	struct error err = ERROR_INIT;

	assert_int_equal(file_write_atomic(&root, path, text, strlen(text), 0600, &err),
			 0);
}

/* Mounts the cache and puts a .run there. */
static void begin(unsigned long flags, const char *options, const char *package)
{
	struct error err = ERROR_INIT;

	if (root.fd < 0)
		skip();
	assert_int_equal(mount("tmpfs", "/var/cache", "tmpfs", flags, options), 0);
	assert_int_equal(root_mkdir(&root, PATHS_CACHE, 0700, &err), 0);
	write_file(FILE_PATH, package);
}

static int unpack(struct error *err)
{
	struct runner runner = run_runner(-1);

	*err = ERROR_INIT;
	return unpack_run(FILE_PATH, &root, &runner, 0, err);
}

static bool is_there(const char *path)
{
	struct stat st;

	return root_stat(&root, path, &st);
}

/* Nothing but the package, and the tree where `tree` says so. */
static void assert_clean(bool tree)
{
	assert_int_equal(is_there(PATHS_TREE), tree);
	assert_false(is_there(PATHS_CACHE "/.tree"));
	assert_false(is_there(PATHS_CACHE "/.tmp"));
}

static void a_stale_tree_is_replaced(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	begin(0, "size=1m", GOOD);
	assert_int_equal(root_mkdir(&root, PATHS_TREE "/old", 0755, &err), 0);
	assert_int_equal(root_mkdir(&root, PATHS_CACHE "/.tree/half", 0755, &err), 0);

	if (unpack(&err) < 0)
		fail_msg("%s", err.text);

	assert_true(is_there(PATHS_TREE "/nvidia-installer"));
	assert_false(is_there(PATHS_TREE "/old"));
	assert_clean(true);
}

static void a_noexec_file_system_is_named_before_anything_else(void **state)
{
	struct error err;

	(void)state;
	begin(MS_NOEXEC, "size=1m", GOOD);

	assert_int_equal(unpack(&err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.text, PATHS_CACHE ": it is mounted noexec"));
	assert_non_null(strstr(err.hint, "without noexec"));
	assert_clean(false);
}

static void a_file_system_without_room_is_named(void **state)
{
	static char package[20000] = GOOD;
	struct error err;

	(void)state;
	memset(package + strlen(package), '#', sizeof(package) - strlen(package) - 1);
	begin(0, "size=64k", package);

	assert_int_equal(unpack(&err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.text, "no room in " PATHS_CACHE));
	assert_clean(false);
}

static void a_disk_that_fills_up_meanwhile_is_no_bad_archive(void **state)
{
	struct error err;

	(void)state;
	begin(0, "size=256k", HEAD "exec cat /dev/zero >\"$3\"/nvidia-installer\n");

	assert_int_equal(unpack(&err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_clean(false);
}

static void a_tree_is_whole_or_not_there(void **state)
{
	static const struct {
		const char *package, *words;
		enum error_code code;
	} cases[] = {
		{ HEAD "echo 'Cannot decompress'; exit 15\n",
		  "extracting " FILE_PATH ": exit status 15: Cannot decompress",
		  ERROR_INTEGRITY },
		{ HEAD "echo x >\"$3\"/nvidia-installer; kill -9 $$\n",
		  "killed by signal 9", ERROR_INTERNAL },
		{ HEAD "no-such-tool\n", "exit status 127", ERROR_PREREQUISITES },
		{ HEAD, "holds no nvidia-installer", ERROR_INTEGRITY },
		{ "<html>\n", "exit status 2", ERROR_INTEGRITY },
	};
	struct error err;

	(void)state;
	begin(0, "size=1m", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		write_file(FILE_PATH, cases[i].package);
		assert_int_equal(unpack(&err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.text, cases[i].words));
		assert_clean(false);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, NULL, unmount)
	const struct CMUnitTest tests[] = {
		TEST(a_stale_tree_is_replaced),
		TEST(a_noexec_file_system_is_named_before_anything_else),
		TEST(a_file_system_without_room_is_named),
		TEST(a_disk_that_fills_up_meanwhile_is_no_bad_archive),
		TEST(a_tree_is_whole_or_not_there),
	};

	return cmocka_run_group_tests_name("unpack_run", tests, setup, teardown);
}
