/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/retry.h"

#include "base/macro.h"
#include "support/cmocka.h"

static void intervals_double_up_to_a_limit(void **state)
{
	static const double expected[] = { 5, 10, 20, 40, 80, 120, 120, 120 };
	struct retry retry = { .limit = ARRAY_SIZE(expected), .base_ms = 5000 };
	double seconds;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(expected); i++) {
		assert_true(retry_next(&retry, RETRY_SOON, 0, 1.0, &seconds));
		assert_float_equal(seconds, expected[i], 1e-6);
	}
	assert_false(retry_next(&retry, RETRY_SOON, 0, 1.0, &seconds));
}

static void the_whole_interval_is_jitter(void **state)
{
	struct retry retry = { .limit = 2, .base_ms = 5000 };
	double seconds;

	(void)state;
	assert_true(retry_next(&retry, RETRY_SOON, 0, 0.0, &seconds));
	assert_float_equal(seconds, 0, 1e-6);
	assert_true(retry_next(&retry, RETRY_SOON, 0, 0.5, &seconds));
	assert_float_equal(seconds, 5, 1e-6);
}

static void retry_after_comes_on_top_and_is_bounded(void **state)
{
	static const struct {
		double after, seconds;
	} cases[] = { { 3, 8 }, { 600, 1200 }, { 1e9, 1200 }, { -3, 5 }, { 0, 5 } };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct retry retry = { .limit = 1, .base_ms = 5000 };
		double seconds;

		assert_true(retry_next(&retry, RETRY_SOON, cases[i].after, 1, &seconds));
		assert_float_equal(seconds, cases[i].seconds, 1e-6);
	}
}

static void
who_got_the_same_retry_after_comes_back_spread_over_as_long_again(void **state)
{
	struct retry first = { .limit = 1, .base_ms = 5000 }, last = first;
	double soonest, latest;

	(void)state;
	assert_true(retry_next(&first, RETRY_BUSY, 30, 0.0, &soonest));
	assert_true(retry_next(&last, RETRY_BUSY, 30, 1.0, &latest));

	assert_float_equal(soonest, 30, 1e-6);
	assert_float_equal(latest, 60, 1e-6);
}

/* The mean of what is slept, with chance 0.5: until the patience ends. */
static double patience_s(struct retry *retry, unsigned *ret_tries)
{
	double seconds, sum = 0;

	for (*ret_tries = 0; retry_next(retry, RETRY_BUSY, 0, 0.5, &seconds);
	     ++*ret_tries)
		sum += seconds;
	return sum;
}

static void a_busy_server_is_waited_for_an_hour(void **state)
{
	struct retry retry = { .limit = 8, .base_ms = 5000 };
	unsigned tries;

	(void)state;
	assert_in_range((unsigned)patience_s(&retry, &tries), 3600, 3660);
	assert_true(tries > 40);
}

static void what_a_busy_server_asks_for_uses_up_the_patience_too(void **state)
{
	struct retry retry = { .limit = 8, .base_ms = 5000 };
	double seconds, sum = 0;

	(void)state;
	while (sum < 1e6 && retry_next(&retry, RETRY_BUSY, 600, 0.5, &seconds))
		sum += seconds;

	assert_in_range((unsigned)sum, 3600, 3600 + 900);
}

static void a_server_that_answers_takes_back_the_failures(void **state)
{
	struct retry retry = { .limit = 2, .base_ms = 5000 };
	double seconds;

	(void)state;
	for (int i = 0; i < 5; i++) {
		assert_true(retry_next(&retry, RETRY_SOON, 0, 1, &seconds));
		assert_true(retry_next(&retry, RETRY_SOON, 0, 1, &seconds));
		assert_true(retry_next(&retry, RETRY_BUSY, 0, 1, &seconds));
	}
	assert_float_equal(seconds, 120, 1e-6); /* the interval grows all the same */
}

static void a_slow_class_is_tried_twice_and_far_apart(void **state)
{
	struct retry retry = { .limit = 8, .base_ms = 5000 };
	double seconds;

	(void)state;
	assert_true(retry_next(&retry, RETRY_SLOW, 0, 1.0, &seconds));
	assert_float_equal(seconds, 20, 1e-6);
	assert_true(retry_next(&retry, RETRY_SLOW, 0, 1.0, &seconds));
	assert_float_equal(seconds, 40, 1e-6);
	assert_false(retry_next(&retry, RETRY_SLOW, 0, 1.0, &seconds));
}

static void no_retries_means_none(void **state)
{
	struct retry none = { .limit = 0, .base_ms = 5000 };
	struct retry some = { .limit = 8, .base_ms = 5000 };
	double seconds;

	(void)state;
	assert_false(retry_next(&none, RETRY_SOON, 0, 1, &seconds));
	assert_false(retry_next(&none, RETRY_SLOW, 0, 1, &seconds));
	assert_false(retry_next(&none, RETRY_BUSY, 0, 1, &seconds));
	assert_false(retry_next(&some, RETRY_NEVER, 0, 1, &seconds));
}

static void progress_forgets_the_failures(void **state)
{
	struct retry retry = { .limit = 1, .base_ms = 5000 };
	double seconds;

	(void)state;
	assert_true(retry_next(&retry, RETRY_SOON, 0, 1, &seconds));
	assert_false(retry_next(&retry, RETRY_SOON, 0, 1, &seconds));

	retry_progress(&retry);

	assert_true(retry_next(&retry, RETRY_SOON, 0, 1, &seconds));
	assert_float_equal(seconds, 5, 1e-6);
}

static void progress_brings_the_patience_back(void **state)
{
	struct retry retry = { .limit = 1, .base_ms = 1 };
	unsigned before, after;

	(void)state;
	(void)patience_s(&retry, &before);
	retry_progress(&retry);
	(void)patience_s(&retry, &after);

	assert_int_equal(before, after);
}

static void statuses_have_their_class(void **state)
{
	static const struct {
		long status;
		enum retry_class class;
	} cases[] = {
		{ 408, RETRY_SOON },  { 425, RETRY_SOON },  { 429, RETRY_BUSY },
		{ 500, RETRY_SOON },  { 502, RETRY_SOON },  { 503, RETRY_BUSY },
		{ 504, RETRY_SOON },  { 403, RETRY_SLOW },  { 404, RETRY_SLOW },
		{ 412, RETRY_SLOW },  { 400, RETRY_NEVER }, { 401, RETRY_NEVER },
		{ 405, RETRY_NEVER }, { 410, RETRY_NEVER }, { 451, RETRY_NEVER },
		{ 501, RETRY_NEVER }, { 204, RETRY_NEVER }, { 0, RETRY_NEVER },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(retry_class_of(cases[i].status), cases[i].class);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(intervals_double_up_to_a_limit),
		cmocka_unit_test(the_whole_interval_is_jitter),
		cmocka_unit_test(retry_after_comes_on_top_and_is_bounded),
		cmocka_unit_test(
			who_got_the_same_retry_after_comes_back_spread_over_as_long_again),
		cmocka_unit_test(a_busy_server_is_waited_for_an_hour),
		cmocka_unit_test(what_a_busy_server_asks_for_uses_up_the_patience_too),
		cmocka_unit_test(a_server_that_answers_takes_back_the_failures),
		cmocka_unit_test(a_slow_class_is_tried_twice_and_far_apart),
		cmocka_unit_test(no_retries_means_none),
		cmocka_unit_test(progress_forgets_the_failures),
		cmocka_unit_test(progress_brings_the_patience_back),
		cmocka_unit_test(statuses_have_their_class),
	};

	return cmocka_run_group_tests_name("retry", tests, NULL, NULL);
}
