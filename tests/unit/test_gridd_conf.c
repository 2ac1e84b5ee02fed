/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/gridd_conf.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

static const struct gridd_conf_value feature_type[] = { { "FeatureType", "1" } };

static char *set(const char *text, const struct gridd_conf_value *values, size_t count,
		 char detail[static 256])
{
	struct gridd_conf_edit edit = { 0 };
	struct error err = ERROR_INIT;

	assert_int_equal(gridd_conf_set(span_of(text), values, count, &edit, &err), 0);
	assert_true(text_copy(detail, 256, edit.detail));
	return edit.text;
}

/* The forms are those of real files. */
static const struct {
	const char *name, *before, *after, *detail;
} edits[] = {
	{ "the template",
	  "# All other values reserved\nFeatureType=0\n\n#EnableUI=TRUE\n",
	  "# All other values reserved\nFeatureType=1\n\n#EnableUI=TRUE\n",
	  "FeatureType 0 -> 1" },
	{ "nothing to do", "FeatureType=1\n", "FeatureType=1\n", "" },
	{ "empty file", "", "FeatureType=1\n", "FeatureType (not set) -> 1" },
	{ "one line without an end", "FeatureType=4", "FeatureType=1",
	  "FeatureType 4 -> 1" },
	{ "key absent", "IgnoreSP=FALSE\nEnableUI=FALSE\n",
	  "IgnoreSP=FALSE\nEnableUI=FALSE\nFeatureType=1\n",
	  "FeatureType (not set) -> 1" },
	{ "key absent, no final newline", "IgnoreSP=FALSE",
	  "IgnoreSP=FALSE\nFeatureType=1", "FeatureType (not set) -> 1" },
	{ "commented example", "A=1\n#FeatureType=0\n# FeatureType = 2\nB=2\n",
	  "A=1\n#FeatureType=0\n# FeatureType = 2\nFeatureType=1\nB=2\n",
	  "FeatureType (not set) -> 1" },
	{ "commented example without an end", "#FeatureType=0",
	  "#FeatureType=0\nFeatureType=1", "FeatureType (not set) -> 1" },
	{ "an active line before an example", "FeatureType=0\n#FeatureType=2\n",
	  "FeatureType=1\n#FeatureType=2\n", "FeatureType 0 -> 1" },
	{ "empty value", "FeatureType=\nServerPort=\n", "FeatureType=1\nServerPort=\n",
	  "FeatureType (empty) -> 1" },
	{ "duplicates", "FeatureType=0\nX=y\nFeatureType=1\nFeatureType=2\n",
	  "FeatureType=1\nX=y\nFeatureType=1\nFeatureType=1\n", "FeatureType 2 -> 1" },
	{ "blanks round the sign", "  FeatureType = 1  \n", "  FeatureType = 1  \n", "" },
	{ "blanks round another value", "\tFeatureType\t=\t2\n", "FeatureType=1\n",
	  "FeatureType 2 -> 1" },
	{ "quotes", "FeatureType=\"1\"\n", "FeatureType=\"1\"\n", "" },
	{ "comment behind the same value", "FeatureType=1 # \n", "FeatureType=1 # \n",
	  "" },
	{ "comment behind another value", "A=b\nFeatureType=0 # by hand\n",
	  "A=b\n# by hand\nFeatureType=1\n", "FeatureType 0 -> 1" },
	{ "carriage returns", "A=b\r\nFeatureType=0 # x\r\n",
	  "A=b\r\n# x\r\nFeatureType=1\r\n", "FeatureType 0 -> 1" },
	{ "carriage returns, key absent", "A=b\r\n", "A=b\r\nFeatureType=1\r\n",
	  "FeatureType (not set) -> 1" },
	{ "the ellipsis people paste", "# Daemon\n\xe2\x80\xa6\nFeatureType=0\n",
	  "# Daemon\n\xe2\x80\xa6\nFeatureType=1\n", "FeatureType 0 -> 1" },
	{ "byte order mark",
	  "\xef\xbb\xbf"
	  "FeatureType=0\nA=b\n",
	  "\xef\xbb\xbf"
	  "FeatureType=1\nA=b\n",
	  "FeatureType 0 -> 1" },
	{ "another case is another key", "featuretype=0\n",
	  "featuretype=0\nFeatureType=1\n", "FeatureType (not set) -> 1" },
	{ "a longer key is another key", "FeatureTypeX=0\nXFeatureType=0\n",
	  "FeatureTypeX=0\nXFeatureType=0\nFeatureType=1\n",
	  "FeatureType (not set) -> 1" },
	{ "no sign, no setting", "FeatureType\n", "FeatureType\nFeatureType=1\n",
	  "FeatureType (not set) -> 1" },
	{ "words about it", "# Set FeatureType=1 for vGPU\n",
	  "# Set FeatureType=1 for vGPU\nFeatureType=1\n", "FeatureType (not set) -> 1" },
};

static void set_edits_as_a_careful_person(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		char detail[256];
		cleanup_free char *after = set(edits[i].before, feature_type, 1, detail);

		print_message("case: %s\n", edits[i].name);
		assert_string_equal(after, edits[i].after);
		assert_string_equal(detail, edits[i].detail);
	}
}

static void what_was_set_once_stays_as_it_is(void **state)
{
	static const struct gridd_conf_value values[] = {
		{ "FeatureType", "1" },
		{ "ServerAddress", "\"10.0.0.1\"" },
		{ "Odd", "a #b" },
		{ "Empty", "" },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(edits); i++) {
		char detail[256];
		cleanup_free char *once =
			set(edits[i].before, values, ARRAY_SIZE(values), detail);
		cleanup_free char *twice = set(once, values, ARRAY_SIZE(values), detail);

		assert_string_equal(twice, once);
		assert_string_equal(detail, "");
	}
}

static const struct {
	const char *text, *value; /* NULL: not there */
} values[] = {
	{ "Key=a\n", "a" },
	{ "Key = a b \r\n", "a b" },
	{ "Key=a\nKey=b\n", "b" },
	{ "Key=\"a # b\" # c\n", "a # b" },
	{ "Key='x'\n", "x" },
	{ "Key=\"half\n", "\"half" },
	{ "Key= example.com # comment\n", "example.com" },
	{ "Key=a#b\n", "a#b" },
	{ "Key=#b\n", "" },
	{ "Key=\n", "" },
	{ "Key=a=b", "a=b" },
	{ "#Key=a\n", NULL },
	{ "  # Key=a\n", NULL },
	{ "Key\n", NULL },
	{ "", NULL },
};

static void get_reads_the_last_active_line(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		char value[64] = "untouched";
		bool found = gridd_conf_get(span_of(values[i].text), "Key", value,
					    sizeof(value));

		print_message("case: %s\n", values[i].text);
		assert_int_equal(found, values[i].value != NULL);
		assert_string_equal(value, found ? values[i].value : "untouched");
	}
}

static void several_changes_are_told_together(void **state)
{
	static const struct gridd_conf_value both[] = { { "FeatureType", "2" },
							{ "EnableUI", "TRUE" } };
	char detail[256];
	cleanup_free char *after =
		set("FeatureType=0\nEnableUI=False\n", both, 2, detail);

	(void)state;

	assert_string_equal(after, "FeatureType=2\nEnableUI=TRUE\n");
	assert_string_equal(detail, "FeatureType 0 -> 2, EnableUI False -> TRUE");
}

static void a_number_sign_in_a_wanted_value_is_no_comment(void **state)
{
	static const struct gridd_conf_value odd = { "Odd", "a #b" };
	static const char *const before[] = { "Odd=a\n", "Odd=a #b\n" };

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		char detail[256];
		cleanup_free char *after = set(before[i], &odd, 1, detail);

		assert_string_equal(after, "Odd=a #b\n");
	}
}

static void a_detail_that_is_too_long_is_cut(void **state)
{
	struct gridd_conf_value many[20];
	char value[40], detail[256];
	cleanup_free char *after = NULL;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	for (size_t i = 0; i < ARRAY_SIZE(many); i++)
		many[i] = (struct gridd_conf_value){ i % 2 ? "B" : "A",
						     i % 4 < 2 ? value : "x" };

	after = set("", many, ARRAY_SIZE(many), detail);

	assert_int_equal(strlen(detail), 255);
	assert_string_equal(after, "A=x\nB=x\n");
}

static void keys_have_the_form_of_a_word(void **state)
{
	(void)state;

	assert_true(gridd_conf_key_valid("FeatureType"));
	assert_true(gridd_conf_key_valid("A1b"));
	assert_false(gridd_conf_key_valid(""));
	assert_false(gridd_conf_key_valid("1A"));
	assert_false(gridd_conf_key_valid("A B"));
	assert_false(gridd_conf_key_valid("A=1\nB"));
	assert_false(gridd_conf_key_valid("#A"));
}

static void what_is_no_option_is_refused(void **state)
{
	static const struct {
		struct span text;
		struct gridd_conf_value value;
		const char *why;
	} cases[] = {
		{ { "", 0 },
		  { "A", "1\nFeatureType=0" },
		  "the value of A has two lines" },
		{ { "", 0 }, { "A B", "1" }, "gridd.conf has no option named A B" },
		{ { "A=1\0\0", 5 }, { "A", "1" }, "gridd.conf holds a NUL byte" },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gridd_conf_edit edit = { 0 };
		struct error err = ERROR_INIT;

		assert_int_equal(
			gridd_conf_set(cases[i].text, &cases[i].value, 1, &edit, &err),
			-1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_string_equal(err.text, cases[i].why);
		assert_null(edit.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(set_edits_as_a_careful_person),
		cmocka_unit_test(what_was_set_once_stays_as_it_is),
		cmocka_unit_test(get_reads_the_last_active_line),
		cmocka_unit_test(several_changes_are_told_together),
		cmocka_unit_test(a_number_sign_in_a_wanted_value_is_no_comment),
		cmocka_unit_test(a_detail_that_is_too_long_is_cut),
		cmocka_unit_test(keys_have_the_form_of_a_word),
		cmocka_unit_test(what_is_no_option_is_refused),
	};

	return cmocka_run_group_tests_name("gridd_conf", tests, NULL, NULL);
}
