/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/watch.h"

#include "base/file.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static void replace(const struct sysroot *sysroot, const char *path)
{
	struct error err = ERROR_INIT;

	assert_int_equal(file_write_atomic(&sysroot->root, path, "x", 1, 0644, &err), 0);
}

static void only_the_file_that_was_asked_for_counts(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(watch_close) struct watch watch = WATCH_INIT;
	struct error err = ERROR_INIT;

	sysroot_mkdir(sysroot, "/a");
	assert_int_equal(watch_open(&watch, &err), 0);
	assert_int_equal(watch_add(&watch, "/a", "wanted", 1, &err), 0);
	watch_refresh(&watch, &sysroot->root);

	replace(sysroot, "/a/other");
	assert_int_equal(watch_read(&watch), 0);
	replace(sysroot, "/a/wanted");
	assert_int_equal(watch_read(&watch), 1);
	assert_int_equal(watch_read(&watch), 0);
	root_discard(&sysroot->root, "/a/wanted");
	assert_int_equal(watch_read(&watch), 1);
}

static void a_folder_that_comes_later_is_watched_from_then_on(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(watch_close) struct watch watch = WATCH_INIT;
	struct error err = ERROR_INIT;

	assert_int_equal(watch_open(&watch, &err), 0);
	assert_int_equal(watch_add(&watch, "/b", NULL, 4, &err), 0);
	watch_refresh(&watch, &sysroot->root);
	sysroot_mkdir(sysroot, "/b");
	watch_refresh(&watch, &sysroot->root);

	replace(sysroot, "/b/anything");
	assert_int_equal(watch_read(&watch), 4);
}

static void two_marks_of_one_folder_are_told_apart(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(watch_close) struct watch watch = WATCH_INIT;
	struct error err = ERROR_INIT;

	sysroot_mkdir(sysroot, "/c");
	assert_int_equal(watch_open(&watch, &err), 0);
	assert_int_equal(watch_add(&watch, "/c", "one", 1, &err), 0);
	assert_int_equal(watch_add(&watch, "/c", "two", 2, &err), 0);
	watch_refresh(&watch, &sysroot->root);

	replace(sysroot, "/c/two");
	assert_int_equal(watch_read(&watch), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_file_that_was_asked_for_counts),
		cmocka_unit_test(a_folder_that_comes_later_is_watched_from_then_on),
		cmocka_unit_test(two_marks_of_one_folder_are_told_apart),
	};

	return cmocka_run_group_tests(tests, sysroot_setup, sysroot_teardown);
}
