/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/version.h"

#include <limits.h>

#include "support/cmocka.h"

static void a_version_has_two_to_four_numbers(void **state)
{
	static const struct {
		const char *text;
		bool valid;
	} cases[] = {
		{ "470.63", true },     { "525.105.17", true },
		{ "418.165.01", true }, { "1.2.3.4", true },
		{ "470", false },       { "1.2.3.4.5", false },
		{ "", false },          { ".", false },
		{ "470.", false },      { ".63", false },
		{ "470..63", false },   { "470.63a", false },
		{ "-470.63", false },   { " 470.63", false },
		{ "1234567.1", false }, { "535.161.08-1", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		if (version_valid(span_of(cases[i].text)) != cases[i].valid)
			fail_msg("\"%s\"", cases[i].text);
	}
}

static void versions_compare_by_component_as_numbers(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {
		{ "470.63", "470.63.01", -1 },     { "470.63.01", "470.63", 1 },
		{ "418.165.01", "418.165.1", 0 },  { "535.54.03", "535.104.05", -1 },
		{ "535.183.06", "535.183.06", 0 }, { "1000.1", "595.71.03", 1 },
		{ "570.133.20", "570.133.10", 1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(version_compare(cases[i].a, cases[i].b), cases[i].order);
}

static void the_branch_is_the_first_component(void **state)
{
	(void)state;
	assert_int_equal(version_branch("525.105.17"), 525);
	assert_int_equal(version_branch("r528_79"), 0);
	assert_int_equal(version_branch(""), 0);
}

static void branches_know_what_came_before_them(void **state)
{
	(void)state;
	assert_int_equal(version_branch_previous(525), 510);
	assert_int_equal(version_branch_previous(470), 0);
	assert_int_equal(version_branch_previous(553), 0);
	assert_int_equal(version_branch_previous_lts(580), 535);
	assert_int_equal(version_branch_previous_lts(535), 470);
	assert_int_equal(version_branch_previous_lts(470), 0);
	assert_int_equal(version_branch_previous_lts(570), 0);
	assert_true(version_branch_index(595) > version_branch_index(580));
	assert_int_equal(version_branch_index(460), -1);
}

static void the_distance_counts_component_by_component(void **state)
{
	static const struct {
		const char *a, *b;
		long branch, second, third;
	} rows[] = {
		{ "550.90.07", "550.90.05", 0, 0, 2 },
		{ "535.183.01", "550.90.07", 15, 93, 6 },
		{ "470.63", "470.63.01", 0, 0, 1 },
		{ "550.90.07", "", LONG_MAX, LONG_MAX, LONG_MAX },
		{ "driver", "550.90.07", LONG_MAX, LONG_MAX, LONG_MAX },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *a = rows[i].a, *b = rows[i].b;

		assert_true(version_distance(a, b, 0) == rows[i].branch);
		assert_true(version_distance(b, a, 1) == rows[i].second);
		assert_true(version_distance(a, b, 2) == rows[i].third);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_version_has_two_to_four_numbers),
		cmocka_unit_test(versions_compare_by_component_as_numbers),
		cmocka_unit_test(the_branch_is_the_first_component),
		cmocka_unit_test(branches_know_what_came_before_them),
		cmocka_unit_test(the_distance_counts_component_by_component),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
