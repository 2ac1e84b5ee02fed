/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <string.h>

#include "base/span.h"
#include "support/cmocka.h"

static void what_a_terminal_would_obey_becomes_a_question_mark(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{ "", "" },
		{ "plain text", "plain text" },
		{ "a\033[31mb\r\n\tc\177", "a?[31mb???c?" },
		{ "M\303\274nchen \342\202\254 \360\237\230\200",
		  "M\303\274nchen \342\202\254 \360\237\230\200" },
		{ "\302\233"
		  "31m",
		  "??31m" }, /* CSI in one character */
		{ "\302\240", "\302\240" },
		{ "\233"
		  "31m",
		  "?31m" }, /* CSI in one byte */
		{ "\377\376x", "??x" },
		{ "cut \342\202", "cut ??" },
		{ "\300\257", "??" },           /* overlong */
		{ "\355\240\200", "???" },      /* surrogate */
		{ "\364\220\200\200", "????" }, /* beyond U+10FFFF */
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char text[64];

		assert_true(text_copy(text, sizeof(text), cases[i].text));
		text_sanitize(text);
		assert_string_equal(text, cases[i].expected);
	}
}

static void a_sequence_ends_where_the_bytes_do(void **state)
{
	(void)state;

	assert_int_equal(text_utf8_length("\342\202\254", 3), 3);
	assert_int_equal(text_utf8_length("\342\202\254", 2), 0);
	assert_int_equal(text_utf8_length("x", 0), 0);
}

static void the_base_name_is_what_follows_the_last_slash(void **state)
{
	static const struct {
		const char *path, *name;
	} cases[] = {
		{ "", "" },   { "a", "a" }, { "/a", "a" }, { "/a/b.run", "b.run" },
		{ "a/", "" }, { "/", "" },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct span span = span_of(cases[i].path);

		assert_string_equal(text_base_name(cases[i].path), cases[i].name);
		assert_true(span_equals(span_base_name(span), cases[i].name));
	}
}

static void a_path_is_whole_or_none(void **state)
{
	char folder[8], path[16];

	(void)state;

	text_path(folder, sizeof(folder), "/%s", "123456");
	text_path(path, sizeof(path), "%s/%s", folder, "a");
	assert_string_equal(folder, "/123456");
	assert_string_equal(path, "/123456/a");
	text_path(folder, sizeof(folder), "/%s", "1234567");
	text_path(path, sizeof(path), "%s/%s", folder, "a");
	assert_string_equal(folder, "");
	assert_string_equal(path, "");
}

static void bytes_become_two_digits_each(void **state)
{
	char hex[9];

	(void)state;

	text_hex("\0\x1f\xa0\xff", 4, hex);
	assert_string_equal(hex, "001fa0ff");
	text_hex("", 0, hex);
	assert_string_equal(hex, "");
	for (int i = 0; i < 16; i++) {
		assert_int_equal(text_hex_value("0123456789abcdef"[i]), i);
		assert_int_equal(text_hex_value("0123456789ABCDEF"[i]), i);
	}
	for (const char *c = "/:@G`g \xff"; *c; c++)
		assert_int_equal(text_hex_value(*c), -1);
	assert_int_equal(text_hex_value('\0'), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_terminal_would_obey_becomes_a_question_mark),
		cmocka_unit_test(a_sequence_ends_where_the_bytes_do),
		cmocka_unit_test(the_base_name_is_what_follows_the_last_slash),
		cmocka_unit_test(a_path_is_whole_or_none),
		cmocka_unit_test(bytes_become_two_digits_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
