/* wrap: fstatvfs fstatvfs64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/room.h"

#include <string.h>
#include <sys/statvfs.h>

#include "support/cmocka.h"
#include "support/sysroot.h"

/* A file system of 4 KiB blocks; `blocks` of them are for everybody. */
static unsigned long blocks;

static int answer(struct statvfs *fs)
{
	*fs = (struct statvfs){ .f_frsize = 4096,
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_full_file_system_is_named,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_folder_that_is_a_file_is_an_error_not_a_loop, sysroot_setup,
			sysroot_teardown),
	};

	return cmocka_run_group_tests_name("room", tests, NULL, NULL);
}
