/* wrap: fstatvfs fstatvfs64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <string.h>
#include <sys/statvfs.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

/* A file system of 4 KiB blocks; `blocks` of them are for everybody. */
static unsigned long blocks;
static struct statvfs left; /* after a program has failed, where f_frsize is set */

static int answer(struct statvfs *fs)
{
	*fs = left.f_frsize ? left
			    : (struct statvfs){ .f_frsize = 4096,
						.f_bfree = 1u << 30,
						.f_bavail = blocks };
	return 0;
}

int __wrap_fstatvfs(int fd, struct statvfs *fs);
int __wrap_fstatvfs(int fd, struct statvfs *fs)
{
	(void)fd;
	return answer(fs);
}

int __wrap_fstatvfs64(int fd, struct statvfs *fs);
int __wrap_fstatvfs64(int fd, struct statvfs *fs)
{
	(void)fd;
	return answer(fs);
}

static void a_full_file_system_is_named(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	blocks = 256;

	assert_int_equal(room_check(&sysroot->root, "/var/cache/x", 1 << 20, &err), 0);
	assert_int_equal(room_check(&sysroot->root, "/var/cache/x", (1 << 20) + 1, &err),
			 -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.text, "no room in /var/cache/x: 1 MiB are free"));
	assert_non_null(strstr(err.hint, "/var/cache/x"));
}

static void a_folder_that_is_a_file_is_an_error_not_a_loop(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	blocks = 1;
	sysroot_write(sysroot, "/file", "");

	/* Its parent counts: mkdir will say the rest. */
	assert_int_equal(room_check(&sysroot->root, "/file/x", 4096, &err), 0);
	assert_int_equal(room_check(&sysroot->root, "/file/x", 4097, &err), -1);
}

#define MIB (1u << 20)

/* What is left when a program has failed, in MiB, and whether it failed for that. */
static const struct {
	unsigned long whole, unused, inodes, inodes_unused, flags;
	bool full;
} ends[] = {
	{ 10000, 0, 0, 0, 0, true },
	{ 10000, 31, 1000, 500, 0, true }, /* what it has removed itself since */
	{ 10000, 40, 1000, 500, 0, false },
	{ 100, 31, 1000, 500, 0, false }, /* a small one */
	{ 100, 10, 1000, 500, 0, true },
	{ 10000, 5000, 1000, 0, 0, true },
	{ 10000, 5000, 0, 0, 0, false }, /* it counts no files */
	{ 700, 0, 0, 0, ST_RDONLY, false },
};

static void the_program_that_failed_is_not_asked_why(void **state)
{
	static const char *const folders[] = { "/usr", NULL };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct error err = ERROR_INIT;

		left = (struct statvfs){ .f_frsize = MIB,
					 .f_blocks = ends[i].whole,
					 .f_bfree = ends[i].unused,
					 .f_bavail = ends[i].unused,
					 .f_files = ends[i].inodes,
					 .f_ffree = ends[i].inodes_unused,
					 .f_flag = ends[i].flags };
		(void)error_set(&err, ERROR_BUILD, "make: Kein Platz");

		assert_int_equal(room_explain(&sysroot->root, folders, &err), -1);

		assert_int_equal(err.code,
				 ends[i].full ? ERROR_PREREQUISITES : ERROR_BUILD);
		assert_int_equal(err.passing, ends[i].full);
		assert_string_equal(err.text,
				    ends[i].full
					    ? "make: Kein Platz; no room is left in /usr"
					    : "make: Kein Platz");
		assert_int_equal(err.hint[0] != '\0', ends[i].full);
	}
	left.f_frsize = 0;
}

static void what_was_interrupted_did_not_fail(void **state)
{
	static const char *const folders[] = { "/usr", NULL };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	left = (struct statvfs){ .f_frsize = MIB, .f_blocks = 1000 };
	(void)error_set_interrupted(&err);
	assert_int_equal(room_explain(&sysroot->root, folders, &err), -1);
	left.f_frsize = 0;

	assert_true(err.interrupted);
	assert_string_equal(err.text, "interrupted");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_full_file_system_is_named,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_folder_that_is_a_file_is_an_error_not_a_loop, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_program_that_failed_is_not_asked_why,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_was_interrupted_did_not_fail,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
