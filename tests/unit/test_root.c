/* wrap: syscall unlinkat fdopendir */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/root.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/syscall.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static bool without_openat2;

long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f);
long __real_syscall(long number, ...);
long __wrap_syscall(long number, long a, long b, long c, long d, long e, long f)
{
	if (number == SYS_openat2 && without_openat2) {
		errno = ENOSYS;
		return -1;
	}
	return __real_syscall(number, a, b, c, d, e, f);
}

static int setup(void **state)
{
	const struct sysroot *sysroot;
	char path[128];

	(void)sysroot_setup(state);
	sysroot = *state;
	sysroot_mkdir(sysroot, "/etc/nvidia");
	sysroot_write(sysroot, "/etc/nvidia/gridd.conf", "inside");
	(void)snprintf(path, sizeof(path), "%s/outside", sysroot->dir);
	assert_int_equal(symlink("../../../../../../etc", path), 0);
	(void)snprintf(path, sizeof(path), "%s/absolute", sysroot->dir);
	assert_int_equal(symlink("/etc/nvidia", path), 0);
	(void)snprintf(path, sizeof(path), "%s/etc/deep", sysroot->dir);
	assert_int_equal(symlink("/etc/nvidia", path), 0);
	(void)snprintf(path, sizeof(path), "%s/loop", sysroot->dir);
	assert_int_equal(symlink("loop", path), 0);
	return 0;
}

static void assert_reads(const struct sysroot *sysroot, const char *path)
{
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	size_t size;

	if (file_read(&sysroot->root, path, 64, &text, &size, &err) < 0)
		fail_msg("%s: %s", path, err.text);
	assert_string_equal(text, "inside");
}

static void every_path_stays_inside(void **state)
{
	const struct sysroot *sysroot = *state;

	for (int pass = 0; pass < 2; pass++) {
		struct error err = ERROR_INIT;

		without_openat2 = pass == 1;
		assert_reads(sysroot, "/etc/nvidia/gridd.conf");
		assert_reads(sysroot, "/../../etc/./nvidia//gridd.conf");
		assert_reads(sysroot, "/outside/nvidia/gridd.conf");
		assert_reads(sysroot, "/absolute/gridd.conf");
		assert_reads(sysroot, "/etc/deep/gridd.conf");
		assert_int_equal(
			root_open_at(&sysroot->root, "/loop/x", O_RDONLY, 0, &err), -1);
		assert_int_equal(err.errnum, ELOOP);
	}
	without_openat2 = false;
}

static void both_ways_create_only_the_last_component(void **state)
{
	const struct sysroot *sysroot = *state;

	for (int pass = 0; pass < 2; pass++) {
		struct error err = ERROR_INIT;
		cleanup_fd int fd = -1;

		without_openat2 = pass == 1;
		fd = root_open_at(&sysroot->root, pass ? "/absolute/b" : "/absolute/a",
				  O_WRONLY | O_CREAT | O_EXCL, 0600, &err);
		assert_true(fd >= 0);
		assert_int_equal(root_open_at(&sysroot->root, "/none/x",
					      O_WRONLY | O_CREAT, 0600, &err),
				 -1);
		assert_int_equal(err.errnum, ENOENT);
	}
	without_openat2 = false;
	sysroot_assert_entries(sysroot, "/etc/nvidia", 3);
}

static void both_ways_refuse_a_name_that_is_too_long(void **state)
{
	const struct sysroot *sysroot = *state;
	char folder[2 + NAME_MAX] = "/", file[sizeof(folder) + 2], path[sizeof(file)];

	memset(folder + 1, 'a', NAME_MAX);
	folder[1 + NAME_MAX] = '\0';
	sysroot_mkdir(sysroot, folder);
	(void)snprintf(file, sizeof(file), "%s/b", folder);
	sysroot_write(sysroot, file, "not meant");
	(void)snprintf(path, sizeof(path), "%sb", folder);

	for (int pass = 0; pass < 2; pass++) {
		struct error err = ERROR_INIT;

		without_openat2 = pass == 1;
		assert_int_equal(root_open_at(&sysroot->root, path, O_RDONLY, 0, &err),
				 -1);
		assert_int_equal(err.errnum, ENAMETOOLONG);
	}
	without_openat2 = false;
}

static void a_tree_is_removed_without_following_links(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char link[128];

	assert_int_equal(root_mkdir(&sysroot->root, "/a/b/c", 0755, &err), 0);
	(void)snprintf(link, sizeof(link), "%s/a/b/link", sysroot->dir);
	assert_int_equal(symlink("/etc/nvidia", link), 0);

	assert_int_equal(root_remove_tree(&sysroot->root, "/a", &err), 0);

	sysroot_assert_text(sysroot, "/etc/nvidia/gridd.conf", "inside");
	assert_false(root_stat(&sysroot->root, "/a", &(struct stat){ 0 }));
	assert_int_equal(root_remove_tree(&sysroot->root, "/a", &err), 0);
}

static int unlistable; /* errno of fdopendir() */

DIR *__wrap_fdopendir(int fd);
DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd)
{
	errno = unlistable;
	return unlistable ? NULL : __real_fdopendir(fd);
}

/* Else a backup would be taken for empty, and go with what is in it. */
static void a_folder_that_cannot_be_listed_is_not_empty(void **state)
{
	static const int errnums[] = { ENOMEM, EMFILE, EIO };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(errnums); i++) {
		struct error err = ERROR_INIT;
		char **names = NULL;

		unlistable = errnums[i];
		assert_int_equal(
			root_list(&sysroot->root, "/etc/nvidia", 8, &names, &err), -1);
		unlistable = 0;
		assert_int_equal(err.errnum, errnums[i]);
		assert_non_null(strstr(err.text, "/etc/nvidia"));
		assert_null(names);
	}
}

static int still_written;

int __wrap_unlinkat(int dir, const char *name, int flags);
int __real_unlinkat(int dir, const char *name, int flags);
int __wrap_unlinkat(int dir, const char *name, int flags)
{
	if (flags & AT_REMOVEDIR && still_written > 0) {
		still_written--;
		errno = ENOTEMPTY;
		return -1;
	}
	return __real_unlinkat(dir, name, flags);
}

static void a_tree_that_is_still_written_to_goes_too(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(root_mkdir(&sysroot->root, "/a/b", 0755, &err), 0);
	still_written = 2;

	assert_int_equal(root_remove_tree(&sysroot->root, "/a", &err), 0);

	assert_int_equal(still_written, 0);
	assert_false(root_stat(&sysroot->root, "/a", &(struct stat){ 0 }));
}

/* What text_path() makes of a path that does not fit: it must be nothing, not the root.
 */
static void no_path_is_no_file(void **state)
{
	const struct sysroot *sysroot = *state;
	const struct root *root = &sysroot->root;

	for (int without = 0; without < 2; without++) {
		cleanup_strv char **names = NULL;
		struct error err = ERROR_INIT;
		struct stat st;

		without_openat2 = without;
		assert_int_equal(root_open_at(root, "", O_PATH, 0, &err), -1);
		assert_int_equal(err.errnum, ENOENT);
		assert_false(root_stat(root, "", &st));
		assert_int_equal(root_mkdir(root, "", 0755, &err), -1);
		assert_int_equal(root_rename(root, "", "/new", &err), -1);
		assert_int_equal(root_rename(root, "/etc", "", &err), -1);
		assert_int_not_equal(root_unlink(root, "", &err), 1);
		assert_int_not_equal(root_remove_tree(root, "", &err), 1);
		assert_int_equal(root_list(root, "", 8, &names, &err), 0);
		assert_null(names[0]);
		assert_reads(sysroot, "/etc/nvidia/gridd.conf");
	}
	without_openat2 = false;
}

static void names_come_sorted_and_bounded(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_strv char **names = NULL, **none = NULL, **many = NULL;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, "/etc/nvidia/a", "");

	assert_int_equal(root_list(&sysroot->root, "/etc/nvidia", 8, &names, &err), 0);
	assert_string_equal(names[0], "a");
	assert_string_equal(names[1], "gridd.conf");
	assert_null(names[2]);
	assert_int_equal(root_list(&sysroot->root, "/none", 8, &none, &err), 0);
	assert_null(none[0]);
	assert_int_equal(root_list(&sysroot->root, "/etc/nvidia", 1, &many, &err), -1);
}

static void a_look_has_three_answers(void **state)
{
	static const struct {
		const char *path;
		int result;
		bool there;
	} cases[] = {
		{ "/look/file", 0, true },           { "/look/none", 0, false },
		{ "/look/file/below", 0, false },    { "/none/at/all", 0, false },
		{ "/look/circle/below", -1, false },
	};
	const struct sysroot *sysroot = *state;
	char full[PATH_MAX];

	sysroot_mkdir(sysroot, "/look");
	sysroot_write(sysroot, "/look/file", "");
	(void)snprintf(full, sizeof(full), "%s/look/circle", sysroot->dir);
	assert_int_equal(symlink("circle", full), 0);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		bool there = false;

		assert_int_equal(root_exists(&sysroot->root, cases[i].path, &there, &err),
				 cases[i].result);
		assert_int_equal(there, cases[i].there);
		if (cases[i].result < 0)
			assert_non_null(strstr(err.text, cases[i].path));
	}
}

static void a_folder_that_is_not_there_needs_no_syncing(void **state)
{
	static const struct {
		const char *path;
		int result;
	} cases[] = { { "/", 0 },
		      { "/there", 0 },
		      { "/missing", 0 },
		      { "/file", 0 },
		      { "/circle", -1 } };
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/there");
	sysroot_write(sysroot, "/file", "");
	assert_int_equal(symlinkat("circle", sysroot->root.fd, "circle"), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(root_sync(&sysroot->root, cases[i].path, &err),
				 cases[i].result);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_look_has_three_answers, sysroot_setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_folder_that_is_not_there_needs_no_syncing, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(every_path_stays_inside, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(both_ways_create_only_the_last_component,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(both_ways_refuse_a_name_that_is_too_long,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_tree_is_removed_without_following_links,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_folder_that_cannot_be_listed_is_not_empty, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_tree_that_is_still_written_to_goes_too,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(no_path_is_no_file, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(names_come_sorted_and_bounded, setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests_name("root", tests, NULL, NULL);
}
