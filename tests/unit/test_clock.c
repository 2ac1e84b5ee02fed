/* SPDX-License-Identifier: Apache-2.0 */
#include "base/clock.h"

#include <unistd.h>

#include "support/cmocka.h"

static void times_are_rfc_3339_in_utc_both_ways(void **state)
{
	static const struct {
		int64_t time;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00Z" },
		{ 951782400, "2000-02-29T00:00:00Z" },
		{ 2147483648, "2038-01-19T03:14:08Z" },
		{ 253402300799, "9999-12-31T23:59:59Z" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[CLOCK_TEXT_SIZE];
		int64_t time = -1;

		assert_string_equal(clock_text(cases[i].time, text, sizeof(text)),
				    cases[i].text);
		assert_true(clock_read(cases[i].text, &time));
		assert_int_equal(time, cases[i].time);
	}
}

static void what_is_no_time_is_not_read(void **state)
{
	static const char *const cases[] = {
		"", "now", "2026-01-01", "2026-01-01T00:00:00", "2026-01-01T00:00:00Z ",
	};
	int64_t time = 7;

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_false(clock_read(cases[i], &time));
	assert_int_equal(time, 7);
}

static void a_time_that_no_calendar_holds_is_the_epoch(void **state)
{
	char text[CLOCK_TEXT_SIZE];

	(void)state;
	assert_string_equal(clock_text(INT64_MAX, text, sizeof(text)),
			    "1970-01-01T00:00:00Z");
}

static void sleep_lasts_as_long_as_asked(void **state)
{
	struct error err = ERROR_INIT;
	double began = clock_monotonic();

	(void)state;
	assert_int_equal(clock_sleep(0.05, -1, &err), 0);
	assert_true(clock_monotonic() - began >= 0.05);
}

static void sleep_ends_with_a_signal(void **state)
{
	struct error err = ERROR_INIT;
	double began = clock_monotonic();
	int cancel[2];

	(void)state;
	assert_int_equal(pipe(cancel), 0);
	assert_int_equal(write(cancel[1], "", 1), 1);

	assert_int_equal(clock_sleep(60, cancel[0], &err), -1);
	assert_true(err.interrupted);
	assert_true(clock_monotonic() - began < 30);
	(void)close(cancel[0]);
	(void)close(cancel[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(times_are_rfc_3339_in_utc_both_ways),
		cmocka_unit_test(what_is_no_time_is_not_read),
		cmocka_unit_test(a_time_that_no_calendar_holds_is_the_epoch),
		cmocka_unit_test(sleep_lasts_as_long_as_asked),
		cmocka_unit_test(sleep_ends_with_a_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
