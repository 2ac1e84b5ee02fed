/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lock.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
