/* wrap: clock_gettime */
/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline.h"

#include <time.h>

#include "support/cmocka.h"

static double now_s;

int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time);
int __wrap_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	(void)clock;
	ret_time->tv_sec = (time_t)now_s;
	ret_time->tv_nsec = (long)((now_s - (double)ret_time->tv_sec) * 1e9);
	return 0;
}

static void it_passes_after_its_time(void **state)
{
	struct deadline deadline = deadline_in(3);
	int looks = 0;

	(void)state;
	for (; !deadline_passed(&deadline); looks++) {
		assert_in_range(deadline_poll_ms(&deadline), 1, 1001);
		now_s += 0.5;
	}
	assert_int_equal(looks, 6);
	assert_int_equal(deadline_poll_ms(&deadline), 0);
}

static void a_pause_counts_as_one_look(void **state)
{
	struct deadline deadline = deadline_in(3);

	(void)state;
	now_s += 100000;
	assert_false(deadline_passed(&deadline));
	now_s += 100000;
	assert_false(deadline_passed(&deadline));
	now_s += 1.5;
	assert_true(deadline_passed(&deadline));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(it_passes_after_its_time),
		cmocka_unit_test(a_pause_counts_as_one_look),
	};

	return cmocka_run_group_tests_name("deadline", tests, NULL, NULL);
}
