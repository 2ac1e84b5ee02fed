/* SPDX-License-Identifier: Apache-2.0 */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "fault/fault.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define GRIDD "/etc/nvidia/gridd.conf"
#define OLD "FeatureType=0\n"
#define NEW "FeatureType=1\n"

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/etc/nvidia");
	sysroot_write(*state, GRIDD, OLD);
	return 0;
}

static int write_new(const struct sysroot *sysroot, struct error *err)
{
	return file_write_atomic(&sysroot->root, GRIDD, NEW, strlen(NEW), 0644, err);
}

static void write_replaces_the_content(void **state)
{
	struct error err = ERROR_INIT;

	assert_int_equal(write_new(*state, &err), 0);

	sysroot_assert_text(*state, GRIDD, NEW);
	sysroot_assert_entries(*state, "/etc/nvidia", 1);
}

/* Break the write at every system call in turn: old or new, never between. */
static void write_is_atomic_under_every_fault(void **state)
{
	int nth = 0, result;

	do {
		struct error err = ERROR_INIT;

		sysroot_write(*state, GRIDD, OLD);
		fault_arm(++nth);
		result = write_new(*state, &err);
		assert_int_equal(result, fault_fired() ? -1 : 0);
		fault_arm(0);

		if (result < 0 && !strstr(err.text, "is in place"))
			sysroot_assert_text(*state, GRIDD, OLD);
		else
			sysroot_assert_text(*state, GRIDD, NEW);
		if (result < 0)
			assert_int_equal(err.code, ERROR_INTERNAL);
		sysroot_assert_entries(*state, "/etc/nvidia", 1);
	} while (result < 0);

	/* Five calls can fail: fchmod, write, fsync, renameat, fsync of the directory. */
	assert_int_equal(nth, 6);
}

static void an_absolute_symlink_stays_inside_the_root(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char link[128];

	(void)snprintf(link, sizeof(link), "%s/etc/alias", sysroot->dir);
	assert_int_equal(symlink("/etc/nvidia", link), 0);

	assert_int_equal(file_write_atomic(&sysroot->root, "/etc/alias/gridd.conf", NEW,
					   strlen(NEW), 0644, &err),
			 0);

	sysroot_assert_text(sysroot, GRIDD, NEW);
}

static void read_refuses_a_file_over_the_limit(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	size_t size;

	assert_int_equal(file_read(&sysroot->root, GRIDD, 4, &text, &size, &err), -1);

	assert_string_equal(err.text, GRIDD ": larger than 4 bytes");
	assert_null(text);
}

static void a_part_is_read_whole_and_no_offset_moves(void **state)
{
	static const struct {
		uint64_t offset;
		const char *got;
	} rows[] = {
		{ 0, "012345" }, { 4, "456789" }, { 7, "789" },
		{ 10, "" },      { 99, "" },      { UINT64_MAX - 2, "" },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;
	char buffer[7];
	size_t got;

	sysroot_write(sysroot, "/ten", "0123456789");
	fd = root_open_at(&sysroot->root, "/ten", O_RDONLY, 0, &err);
	assert_true(fd >= 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(file_read_at(fd, rows[i].offset, buffer, 6, &got, &err),
				 0);
		buffer[got] = '\0';
		assert_string_equal(buffer, rows[i].got);
		assert_int_equal(lseek(fd, 0, SEEK_CUR), 0);
	}
	assert_int_equal(file_read_at(-1, 0, buffer, 6, &got, &err), -1);
	assert_int_equal(err.errnum, EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_part_is_read_whole_and_no_offset_moves,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(write_replaces_the_content, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(write_is_atomic_under_every_fault, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(an_absolute_symlink_stays_inside_the_root,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(read_refuses_a_file_over_the_limit, setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests_name("file", tests, NULL, NULL);
}
