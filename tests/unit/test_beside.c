/* SPDX-License-Identifier: Apache-2.0 */
#include "base/beside.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "support/cmocka.h"

static int succeed(void *context, struct error *err)
{
	(void)err;
	*(int *)context = 7; /* in the copy */
	return 0;
}

static int refuse(void *context, struct error *err)
{
	(void)context;
	(void)error_set(err, ERROR_PREREQUISITES, "no headers");
	return error_hint(err, "another kernel");
}

static int die(void *context, struct error *err)
{
	(void)context;
	(void)err;
	return raise(SIGKILL);
}

static int sleep_long(void *context, struct error *err)
{
	return clock_sleep(*(double *)context, -1, err);
}

static void work_that_succeeds_leaves_no_trace_in_this_process(void **state)
{
	struct beside beside = { 0 };
	struct error err = ERROR_INIT;
	int value = 1;

	(void)state;
	assert_int_equal(beside_start(&beside, succeed, &value, &err), 0);
	assert_int_equal(beside_wait(&beside, -1, &err), 0);

	assert_int_equal(value, 1);
	assert_int_equal(beside.pid, 0);
	assert_int_equal(beside_wait(&beside, -1, &err), 0); /* none under way */
}

static void its_error_is_ours(void **state)
{
	struct beside beside = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(beside_start(&beside, refuse, NULL, &err), 0);
	assert_int_equal(beside_wait(&beside, -1, &err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_string_equal(err.text, "no headers");
	assert_string_equal(err.hint, "another kernel");
}

static void a_death_without_a_word_is_an_error(void **state)
{
	struct beside beside = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(beside_start(&beside, die, NULL, &err), 0);
	assert_int_equal(beside_wait(&beside, -1, &err), -1);

	assert_int_equal(err.code, ERROR_INTERNAL);
}

static void a_signal_for_us_ends_it(void **state)
{
	struct beside beside = { 0 };
	struct error err = ERROR_INIT;
	double seconds = 60, began = clock_monotonic();
	int pipes[2];

	(void)state;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	assert_int_equal(beside_start(&beside, sleep_long, &seconds, &err), 0);
	assert_int_equal(beside_wait(&beside, pipes[0], &err), -1);

	assert_true(err.interrupted);
	assert_true(clock_monotonic() - began < 30);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void both_times_are_told(void **state)
{
	struct beside beside = { 0 };
	struct error err = ERROR_INIT;
	double seconds = 0.3;

	(void)state;
	assert_int_equal(beside_start(&beside, sleep_long, &seconds, &err), 0);
	assert_int_equal(clock_sleep(0.2, -1, &err), 0);
	assert_int_equal(beside_wait(&beside, -1, &err), 0);

	assert_true(beside.seconds >= 0.3);
	assert_true(beside.waited < beside.seconds - 0.1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(work_that_succeeds_leaves_no_trace_in_this_process),
		cmocka_unit_test(its_error_is_ours),
		cmocka_unit_test(a_death_without_a_word_is_an_error),
		cmocka_unit_test(a_signal_for_us_ends_it),
		cmocka_unit_test(both_times_are_told),
	};

	return cmocka_run_group_tests_name("beside", tests, NULL, NULL);
}
