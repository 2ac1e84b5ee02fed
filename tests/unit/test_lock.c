/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define LOCK "/run/lock/agent.lock"

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/run/lock");
	return 0;
}

static int take(const struct sysroot *sysroot, unsigned wait_s, int cancel_fd,
		int *ret_fd, struct error *err)
{
	return lock_take(&sysroot->root, LOCK, wait_s, cancel_fd, ret_fd, err);
}

static void a_second_instance_is_busy(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_fd int first = -1;
	int second = -1;

	assert_int_equal(take(*state, 0, -1, &first, &err), 0);

	assert_int_equal(take(*state, 0, -1, &second, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_int_equal(second, -1);
	assert_string_not_equal(err.hint, "");
}

static void the_lock_ends_with_its_descriptor(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_fd int second = -1;
	int first = -1;

	assert_int_equal(take(*state, 0, -1, &first, &err), 0);
	assert_int_equal(close(first), 0);

	assert_int_equal(take(*state, 0, -1, &second, &err), 0);
}

static void waiting_lasts_as_long_as_asked(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_fd int first = -1;
	double began;
	int second = -1;

	assert_int_equal(take(*state, 0, -1, &first, &err), 0);
	began = clock_monotonic();

	assert_int_equal(take(*state, 1, -1, &second, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_true(clock_monotonic() - began >= 1);
}

static void waiting_ends_with_a_signal(void **state)
{
	struct error err = ERROR_INIT;
	cleanup_fd int first = -1;
	int second = -1, cancel[2];

	assert_int_equal(take(*state, 0, -1, &first, &err), 0);
	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(cancel[1], "", 1), 1);

	assert_int_equal(take(*state, 60, cancel[0], &second, &err), -1);
	assert_true(err.interrupted);
	(void)close(cancel[0]);
	(void)close(cancel[1]);
}

static void a_link_is_no_lock(void **state)
{
	struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char path[128];
	int fd = -1;

	assert_true(text_format(path, sizeof(path), "%s" LOCK, sysroot->dir));
	assert_int_equal(symlink("other", path), 0);
	sysroot_write(sysroot, "/run/lock/other", "");

	assert_int_equal(take(sysroot, 0, -1, &fd, &err), -1);
	assert_int_equal(fd, -1);
}

static void make_old(const struct sysroot *sysroot, mode_t mode, uid_t owner)
{
	cleanup_fd int fd = -1;
	struct error err = ERROR_INIT;

	fd = root_open_at(&sysroot->root, LOCK, O_RDWR | O_CREAT, 0600, &err);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, mode), 0);
	if (owner != geteuid()) {
		if (geteuid() != 0)
			skip();
		assert_int_equal(fchown(fd, owner, (gid_t)-1), 0);
	}
}

static int take_former(const struct sysroot *sysroot, int *ret_fd, struct error *err)
{
	return lock_take_former(&sysroot->root, LOCK, 0, -1, ret_fd, err);
}

/* An upgrade while the version before is at work, and a downgrade. */
static void another_versions_lock_is_honoured(void **state)
{
	cleanup_fd int holder = -1, second = -1;
	struct error err = ERROR_INIT;

	make_old(*state, 0600, geteuid());
	assert_int_equal(take_former(*state, &holder, &err), 0);
	assert_true(holder >= 0);
	assert_int_equal(take(*state, 0, -1, &second, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_int_equal(take_former(*state, &second, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
}

/* In a folder of everybody's: whoever could hold it would stop us for ever. */
static void a_lock_that_another_user_can_hold_is_none(void **state)
{
	static const struct {
		mode_t mode;
		uid_t owner; /* 0: ours */
	} rows[] = {
		{ 0600, 65534 }, { 0644, 0 }, { 0666, 0 }, { 0660, 0 }, { 0666, 65534 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		cleanup_fd int holder = -1;
		int fd = -1;

		make_old(sysroot, rows[i].mode,
			 rows[i].owner ? rows[i].owner : geteuid());
		assert_int_equal(take(sysroot, 0, -1, &holder, &err), 0);
		if (take_former(sysroot, &fd, &err) < 0 || fd != -1)
			fail_msg("row %zu: %s", i, err.text);
		assert_int_equal(root_unlink(&sysroot->root, LOCK, &err), 0);
	}
}

static void what_is_no_file_is_no_lock_of_another_version(void **state)
{
	struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char path[128];
	struct stat st;
	int fd = -1;

	assert_int_equal(take_former(sysroot, &fd, &err), 0);
	assert_false(root_stat(&sysroot->root, LOCK, &st));

	assert_true(text_format(path, sizeof(path), "%s" LOCK, sysroot->dir));
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(take_former(sysroot, &fd, &err), 0);
	assert_int_equal(unlink(path), 0);
	sysroot_mkdir(sysroot, LOCK);
	assert_int_equal(take_former(sysroot, &fd, &err), 0);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(symlink("/etc/shadow", path), 0);
	assert_int_equal(take_former(sysroot, &fd, &err), 0);
	assert_int_equal(fd, -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(another_versions_lock_is_honoured, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_lock_that_another_user_can_hold_is_none,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			what_is_no_file_is_no_lock_of_another_version, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_second_instance_is_busy, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_lock_ends_with_its_descriptor, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(waiting_lasts_as_long_as_asked, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(waiting_ends_with_a_signal, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_link_is_no_lock, setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
