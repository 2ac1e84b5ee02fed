/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/catalog_yaml.h"

#include <string.h>

#include "support/cmocka.h"

static const struct {
	const char *name, *yaml, *json;
} good[] = {
	{ "the shape that is known",
	  "version: 1\ndate: \"2025-01-01\"\n"
	  "branch:\n  - name: R538_27\n    type: host\n"
	  "    allow: {branch: [R538_27, R528_79]}\n"
	  "driver:\n  - {version: 535.161.05, date: \"2024-02-22\", os: [Linux]}\n",
	  "{\"branch\":[{\"name\":\"R538_27\",\"type\":\"host\",\"allow\":{\"branch\":["
	  "\"R538_27\",\"R528_79\"]}}],\"driver\":[{\"version\":\"535.161.05\","
	  "\"date\":\"2024-02-22\",\"os\":[\"Linux\"]}]}" },
	{ "numbers stay as they are written",
	  "driver: [470.60, 0x1eb8, 1e3, yes, 2024-02-22, -0]",
	  "{\"driver\":[\"470.60\",\"0x1eb8\",\"1e3\",\"yes\",\"2024-02-22\",\"-0\"]}" },
	{ "nothing is null, in quotes it is text",
	  "branch: ~\ndriver: [null, 'null', \"\", ~]\n",
	  "{\"branch\":null,\"driver\":[null,\"null\",\"\",null]}" },
	{ "an anchor alone does no harm", "driver: &a [&b x]", "{\"driver\":[\"x\"]}" },
	{ "a byte order mark",
	  "\xef\xbb\xbf"
	  "driver: []",
	  "{\"driver\":[]}" },
	{ "UTF-8", "driver: [\"\xc3\xa9\"]", "{\"driver\":[\"\xc3\xa9\"]}" },
	{ "the last of two equal keys", "driver: [a]\ndriver: [b]\n",
	  "{\"driver\":[\"b\"]}" },
};

static void scalars_are_the_text_that_stands_there(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		cleanup_json struct json *json = NULL;
		cleanup_free char *text = NULL;
		struct error err = ERROR_INIT;

		print_message("case: %s\n", good[i].name);
		if (catalog_yaml_read(good[i].yaml, strlen(good[i].yaml), &json, &err) <
		    0)
			fail_msg("%s", err.text);
		text = json_print(json);
		assert_string_equal(text, good[i].json);
	}
}

static const struct {
	const char *name, *yaml, *text;
} bad[] = {
	{ "nothing", "", "line 1: it is empty" },
	{ "a list", "- driver\n", "line 1: it is no catalog" },
	{ "a web page", "<html>\n</html>\n", "line 1: it is no catalog" },
	{ "no drivers", "branch: []\n", "it lists no drivers" },
	{ "drivers that are no list", "driver: {}\n", "it lists no drivers" },
	{ "an alias", "driver:\n  - &a [x]\n  - *a\n", "line 3: an alias" },
	{ "a merge", "driver:\n  - &a {x: y}\n  - <<: *a\n", "line 3: an alias" },
	{ "a key that is a list", "driver: []\n? [a]\n: b\n",
	  "line 2: a key that is no text" },
	{ "two documents", "driver: []\n---\ndriver: []\n",
	  "line 2: a second document follows" },
	{ "control characters", "driver: [\"\\e[2J\"]\n", "line 1: a control character" },
	{ "NUL", "driver: [\"a\\0b\"]\n", "line 1: a control character" },
	{ "an open bracket", "driver: [a, b\n",
	  "line 2: did not find expected ',' or ']'" },
	{ "bad indentation", "driver:\n  - a\n b: c\n",
	  "line 3: did not find expected key" },
	{ "a tag directive", "%TAG ! x\n---\ndriver: []\n", "it has a %TAG directive" },
	{ "UTF-16",
	  "\xff\xfe"
	  "d",
	  "line 1: invalid leading UTF-8 octet" },
	{ "nested too deep", "driver: [[[[[[[[[[[[[[[[[[[[x]]]]]]]]]]]]]]]]]]]]",
	  "line 1: nested deeper than any catalog" },
};

static void what_is_no_catalog_is_refused_with_its_line(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct json *json = NULL;
		struct error err = ERROR_INIT;

		print_message("case: %s\n", bad[i].name);
		assert_int_equal(
			catalog_yaml_read(bad[i].yaml, strlen(bad[i].yaml), &json, &err),
			-1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
		assert_string_equal(err.text, bad[i].text);
		assert_null(json);
	}
}

static void a_catalog_has_its_limits(void **state)
{
	static char text[CATALOG_YAML_MAX + 1] = "driver: [";
	struct json *json = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	for (size_t i = strlen(text); i < sizeof(text); i++)
		text[i] = i % 2 ? 'a' : ',';

	assert_int_equal(catalog_yaml_read(text, sizeof(text), &json, &err), -1);
	assert_string_equal(err.text, "it is larger than 2 MiB");
	assert_int_equal(catalog_yaml_read(text, sizeof(text) - 1, &json, &err), -1);
	assert_string_equal(err.text, "line 1: a list longer than any catalog's");

	/* Lists of 99 values each, 200 bytes. */
	for (size_t i = strlen("driver: ["), at = 0; i < sizeof(text) - 1; i++) {
		text[i] = at == 198            ? ']'
			  : at == 0            ? '['
			  : at % 2 && at < 198 ? 'a'
					       : ',';
		at = at == 199 ? 0 : at + 1;
	}
	assert_int_equal(catalog_yaml_read(text, sizeof(text) - 1, &json, &err), -1);
	assert_string_equal(err.text, "line 1: more values than any catalog has");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(scalars_are_the_text_that_stands_there),
		cmocka_unit_test(what_is_no_catalog_is_refused_with_its_line),
		cmocka_unit_test(a_catalog_has_its_limits),
	};

	return cmocka_run_group_tests_name("catalog_yaml", tests, NULL, NULL);
}
