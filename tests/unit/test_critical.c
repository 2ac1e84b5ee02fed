/* SPDX-License-Identifier: Apache-2.0 */
#include "core/critical.h"

#include <string.h>

#include "support/cmocka.h"

/* A run of 100 s whose compiler was installed from the second 1 on. */
static struct pipeline_report run_with(double beside_seconds, double waited)
{
	return (struct pipeline_report){
		.count = 6,
		.outcomes = { { .step = "match",
				.kind = OUTCOME_UNCHANGED,
				.began = 0,
				.seconds = 1 },
			      { .step = "fetch",
				.kind = OUTCOME_CHANGED,
				.began = 1,
				.seconds = 20 },
			      { .step = "unpack",
				.kind = OUTCOME_CHANGED,
				.began = 21,
				.seconds = 5 },
			      { .step = "build",
				.kind = OUTCOME_CHANGED,
				.began = 26,
				.seconds = 70 },
			      { .step = "install",
				.kind = OUTCOME_CHANGED,
				.began = 96,
				.seconds = 4 },
			      { .step = "gridd",
				.kind = OUTCOME_SKIPPED,
				.began = 100 } },
		.beside_began = beside_seconds > 0 ? 1.0 : 0,
		.beside_seconds = beside_seconds,
		.beside_waited = waited,
	};
}

static void assert_names(const struct pipeline_report *report, const char *expected)
{
	cleanup_json struct json *names = critical_names(report);
	cleanup_free char *text = json_print(names);

	assert_string_equal(text, expected);
}

static void without_anything_beside_all_steps_are_waited_for(void **state)
{
	struct pipeline_report report = run_with(0, 0);
	cleanup_json struct json *beside = critical_beside(&report);

	(void)state;
	assert_names(&report, "[\"match\",\"fetch\",\"unpack\",\"build\",\"install\"]");
	assert_int_equal(json_count(beside), 0);
}

static void a_compiler_that_came_in_time_is_not_waited_for(void **state)
{
	struct pipeline_report report = run_with(15, 0.001);

	(void)state;
	assert_names(&report, "[\"match\",\"fetch\",\"unpack\",\"build\",\"install\"]");
}

static void a_compiler_that_came_late_is_what_was_waited_for(void **state)
{
	struct pipeline_report report = run_with(40, 15);
	cleanup_json struct json *beside = critical_beside(&report);
	const struct json *first = json_at(beside, 0);

	(void)state;
	assert_names(&report, "[\"match\",\"toolchain\",\"build\",\"install\"]");
	assert_string_equal(json_get_string(first, "work"), "toolchain");
	assert_string_equal(json_get_string(first, "step"), "build");
	assert_true(json_get_real(first, "seconds", 0) >= 40);
	assert_true(json_get_real(first, "waited", 0) >= 15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_anything_beside_all_steps_are_waited_for),
		cmocka_unit_test(a_compiler_that_came_in_time_is_not_waited_for),
		cmocka_unit_test(a_compiler_that_came_late_is_what_was_waited_for),
	};

	return cmocka_run_group_tests_name("critical", tests, NULL, NULL);
}
