/* SPDX-License-Identifier: Apache-2.0 */
#include "model/repository/prebuilt.h"

#include <string.h>

#include "support/cmocka.h"

#define SHA "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb"
#define GOOD                                                                             \
	"\"name\":\"m.tar.gz\",\"version\":\"550.90.07\",\"kernel\":\"6.1.0-56\","       \
	"\"vermagic\":\"6.1.0-56 SMP\",\"compiler\":\"gcc 12.2.0\",\"arch\":\"x86_64\"," \
	"\"flavour\":\"open\""

static bool take(const char *text, struct prebuilt *ret_prebuilt)
{
	cleanup_json struct json *json = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(json_parse(text, strlen(text), &json, &err), 0);
	return prebuilt_from_json(json, ret_prebuilt);
}

static void an_entry_of_the_index_is_read(void **state)
{
	struct prebuilt found;

	(void)state;
	assert_true(take("{" GOOD ",\"size\":3424,\"sha256\":\"" SHA
			 "\",\"signed_by\":\"Fleet: ab\"}",
			 &found));

	assert_string_equal(found.name, "m.tar.gz");
	assert_string_equal(found.kernel, "6.1.0-56");
	assert_true(found.open);
	assert_int_equal(found.size, 3424);
	assert_string_equal(found.sha256, SHA);
	assert_string_equal(found.signed_by, "Fleet: ab");
}

static void a_manifest_comes_back_as_it_was(void **state)
{
	cleanup_json struct json *json = NULL;
	struct prebuilt one, other;

	(void)state;
	assert_true(take("{" GOOD ",\"symbols\":\"" SHA "\",\"signed_by\":null}", &one));
	json = prebuilt_manifest(&one);
	assert_true(prebuilt_from_json(json, &other));

	assert_null(prebuilt_differs(&one, &other));
	assert_string_equal(other.symbols, SHA);
	assert_string_equal(other.signed_by, "");
}

static void what_cannot_be_is_refused(void **state)
{
	static const char *const bad[] = {
		"{}",
		"{" GOOD ",\"size\":-1}",
		"{" GOOD ",\"sha256\":\"abc\"}",
		"{" GOOD ",\"symbols\":\"" SHA "0\"}",
		"{" GOOD ",\"signed_by\":7}",
		"{" GOOD ",\"signed_by\":\"a\\nb\"}",
		"{\"name\":\"../m\",\"version\":\"1.2\",\"kernel\":\"6\",\"vermagic\":\"6\","
		"\"compiler\":\"c\",\"arch\":\"x\",\"flavour\":\"open\"}",
		"{\"name\":\"m\",\"version\":\"one\",\"kernel\":\"6\",\"vermagic\":\"6\","
		"\"compiler\":\"c\",\"arch\":\"x\",\"flavour\":\"open\"}",
		"{\"name\":\"m\",\"version\":\"1.2\",\"kernel\":\"../6\",\"vermagic\":\"6\","
		"\"compiler\":\"c\",\"arch\":\"x\",\"flavour\":\"open\"}",
		"{\"name\":\"m\",\"version\":\"1.2\",\"kernel\":\"6\",\"vermagic\":\"6\","
		"\"compiler\":\"c\",\"arch\":\"x\",\"flavour\":\"closed\"}",
		"{\"name\":\"m\",\"version\":\"1.2\",\"kernel\":\"6\",\"vermagic\":\"\","
		"\"compiler\":\"c\",\"arch\":\"x\",\"flavour\":\"open\"}",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct prebuilt found;

		if (take(bad[i], &found))
			fail_msg("taken: %s", bad[i]);
	}
}

static void what_decides_on_its_use_must_not_differ(void **state)
{
	static const struct {
		const char *key;
		size_t at;
	} fields[] = {
		{ "version", offsetof(struct prebuilt, version) },
		{ "kernel", offsetof(struct prebuilt, kernel) },
		{ "vermagic", offsetof(struct prebuilt, vermagic) },
		{ "arch", offsetof(struct prebuilt, arch) },
		{ "signed_by", offsetof(struct prebuilt, signed_by) },
	};
	struct prebuilt one, other;

	(void)state;
	assert_true(take("{" GOOD "}", &one));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		other = one;
		((char *)&other)[fields[i].at] = 'X';
		assert_string_equal(prebuilt_differs(&one, &other), fields[i].key);
	}
	other = one;
	other.open = false;
	assert_string_equal(prebuilt_differs(&one, &other), "flavour");
}

static void an_archive_is_chosen_by_all_that_it_is_for(void **state)
{
	static const struct {
		struct prebuilt_wish wish;
		const char *misses; /* NULL: it is what is wished for */
	} rows[] = {
		{ { "550.90.07", "6.1.0-56", "x86_64", "open" }, NULL },
		{ { "550.90.07", "6.1.0-56", "x86_64", "auto" }, NULL },
		{ { "550.90.7", "6.1.0-56", "x86_64", "open" }, "version" },
		{ { "550.90.07", "6.1.0-5", "x86_64", "open" }, "kernel" },
		{ { "550.90.07", "6.1.0-56", "aarch64", "open" }, "arch" },
		{ { "550.90.07", "6.1.0-56", "x86_64", "proprietary" }, "flavour" },
	};
	struct prebuilt found;

	(void)state;
	assert_true(take("{" GOOD "}", &found));
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *misses = prebuilt_misses(&found, &rows[i].wish);

		if (!rows[i].misses)
			assert_null(misses);
		else
			assert_string_equal(misses, rows[i].misses);
	}
}

static void all_of_a_list_that_fit_are_found_in_order(void **state)
{
	static const char text[] = "[{}, {" GOOD ",\"sha256\":\"" SHA "\"}, 7,"
				   "{" GOOD ",\"signed_by\":\"A: 1\"}]";
	struct prebuilt_wish wish = { "550.90.07", "6.1.0-56", "x86_64", "auto" };
	cleanup_json struct json *list = NULL;
	struct error err = ERROR_INIT;
	struct prebuilt found;
	size_t at = 0;

	(void)state;
	assert_int_equal(json_parse(text, strlen(text), &list, &err), 0);

	assert_true(prebuilt_next(list, &wish, &at, &found));
	assert_string_equal(found.sha256, SHA);
	assert_true(prebuilt_next(list, &wish, &at, &found));
	assert_string_equal(found.signed_by, "A: 1");
	assert_false(prebuilt_next(list, &wish, &at, &found));
	at = 0;
	assert_false(prebuilt_next(NULL, &wish, &at, &found));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_entry_of_the_index_is_read),
		cmocka_unit_test(a_manifest_comes_back_as_it_was),
		cmocka_unit_test(what_cannot_be_is_refused),
		cmocka_unit_test(what_decides_on_its_use_must_not_differ),
		cmocka_unit_test(an_archive_is_chosen_by_all_that_it_is_for),
		cmocka_unit_test(all_of_a_list_that_fit_are_found_in_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
