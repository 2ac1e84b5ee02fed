/* SPDX-License-Identifier: Apache-2.0 */
#include "core/builds.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

static struct known_build build_of(const char *version, const char *kernel, bool ok)
{
	struct known_build build = { .file = "a.run",
				     .sha256 = "",
				     .compiler = "gcc-12 12.2.0",
				     .wanted = "auto",
				     .ok = ok };

	(void)text_copy(build.version, sizeof(build.version), version);
	(void)text_copy(build.kernel, sizeof(build.kernel), kernel);
	(void)text_copy(build.why, sizeof(build.why), ok ? "" : "x.c:1: error: \"y\"");
	return build;
}

static void note(struct builds *builds, struct known_build build)
{
	builds_note(builds, &build);
}

static void what_is_written_is_read(void **state)
{
	struct builds builds = { .count = 0 }, again;
	cleanup_json struct json *json = NULL;

	(void)state;
	note(&builds, build_of("550.54.15", "6.1.0-57", false));
	note(&builds, build_of("550.90.07", "6.1.0-57", true));
	builds.list[0].open = builds.list[0].now = true;
	json = builds_json(&builds, NULL);
	builds_read(json, &again);

	assert_int_equal(again.count, 2);
	/* The next run is another one. */
	builds.list[0].now = false;
	for (size_t i = 0; i < 2; i++)
		assert_memory_equal(&again.list[i], &builds.list[i],
				    sizeof(again.list[i]));
}

static void a_later_build_of_the_same_replaces_the_former(void **state)
{
	struct builds builds = { .count = 0 };

	(void)state;
	note(&builds, build_of("550.54.15", "6.1.0-57", false));
	note(&builds, build_of("550.54.15", "6.1.0-56", false));
	note(&builds, build_of("550.54.15", "6.1.0-57", true));

	assert_int_equal(builds.count, 2);
	assert_string_equal(builds.list[0].kernel, "6.1.0-56");
	assert_true(builds.list[1].ok);
}

static void the_oldest_goes_where_there_is_no_room(void **state)
{
	struct builds builds = { .count = 0 };
	char kernel[32];

	(void)state;
	for (int i = 0; i <= BUILDS_MAX; i++) {
		(void)text_format(kernel, sizeof(kernel), "6.1.0-%d", i);
		note(&builds, build_of("550.54.15", kernel, false));
	}

	assert_int_equal(builds.count, BUILDS_MAX);
	assert_string_equal(builds.list[0].kernel, "6.1.0-1");
	assert_string_equal(builds.list[BUILDS_MAX - 1].kernel, kernel);
}

static void another_compiler_forgets_what_is_of_its_kernel(void **state)
{
	struct builds builds = { .count = 0 };

	(void)state;
	note(&builds, build_of("550.54.15", "6.1.0-57", false));
	note(&builds, build_of("550.54.15", "6.1.0-56", false));

	builds_forget(&builds, "6.1.0-57", "gcc-12 12.2.0");
	assert_true(builds_has(&builds, "6.1.0-57"));
	builds_forget(&builds, "6.1.0-57", "gcc-12 12.2.1");
	assert_false(builds_has(&builds, "6.1.0-57"));
	assert_true(builds_has(&builds, "6.1.0-56"));
}

static void only_failures_of_this_run_are_counted(void **state)
{
	struct builds builds = { .count = 0 };

	(void)state;
	note(&builds, build_of("550.54.15", "6.1.0-57", false));
	note(&builds, build_of("550.54.16", "6.1.0-57", false));
	note(&builds, build_of("550.54.17", "6.1.0-57", true));
	builds.list[1].now = builds.list[2].now = true;

	assert_int_equal(builds_failed_now(&builds), 1);
}

static void of_one_kernel_only_what_failed_is_told(void **state)
{
	struct builds builds = { .count = 0 };
	cleanup_json struct json *json = NULL;

	(void)state;
	note(&builds, build_of("550.54.15", "6.1.0-57", false));
	note(&builds, build_of("550.54.16", "6.1.0-57", true));
	note(&builds, build_of("550.54.15", "6.1.0-56", false));
	json = builds_json(&builds, "6.1.0-57");

	assert_int_equal(json_count(json), 1);
	assert_string_equal(json_get_string(json_at(json, 0), "version"), "550.54.15");
	assert_string_equal(json_get_string(json_at(json, 0), "kernel"), "6.1.0-57");
}

static void what_is_damaged_is_left_out(void **state)
{
	static const char *const damaged[] = {
		"[]", "{}", "[1]", "[{}]", "[{\"file\":\"\",\"version\":\"550.54.15\"}]",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		cleanup_json struct json *json = NULL;
		struct builds builds = { .count = 7 };
		struct error err = ERROR_INIT;

		assert_int_equal(json_parse(damaged[i], strlen(damaged[i]), &json, &err),
				 0);
		builds_read(json, &builds);
		assert_int_equal(builds.count, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_written_is_read),
		cmocka_unit_test(a_later_build_of_the_same_replaces_the_former),
		cmocka_unit_test(the_oldest_goes_where_there_is_no_room),
		cmocka_unit_test(another_compiler_forgets_what_is_of_its_kernel),
		cmocka_unit_test(only_failures_of_this_run_are_counted),
		cmocka_unit_test(of_one_kernel_only_what_failed_is_told),
		cmocka_unit_test(what_is_damaged_is_left_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
