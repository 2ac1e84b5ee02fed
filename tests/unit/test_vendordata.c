/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/vendordata.h"

#include <string.h>

#include "support/cmocka.h"

static enum vendordata_verdict add(struct vendordata *data, const char *source,
				   bool dynamic, const char *text)
{
	enum vendordata_verdict verdict;
	struct error err = ERROR_INIT;

	assert_int_equal(
		vendordata_add(data, source, dynamic, span_of(text), &verdict, &err), 0);
	return verdict;
}

static void begin(struct vendordata *data)
{
	struct error err = ERROR_INIT;

	assert_int_equal(vendordata_begin(data, &err), 0);
}

static void assert_json(const struct json *json, const char *expected)
{
	cleanup_free char *text = json_print(json);

	assert_string_equal(text, expected);
}

#define OURS "{\"license\":{\"feature_type\":1}}"

static const struct {
	const char *name;
	bool dynamic;
	const char *text;
	enum vendordata_verdict verdict;
	const char *object, *warnings;
} cases[] = {
	{ "at the top", true, "{\"vgpu_guest_agent\":" OURS "}", VENDORDATA_FOUND, OURS,
	  "[]" },
	{ "under a service", true,
	  "{\"static\":{},\"x\":{\"vgpu_guest_agent\":" OURS "}}", VENDORDATA_FOUND, OURS,
	  "[]" },
	{ "under static", true, "{\"static\":{\"vgpu_guest_agent\":" OURS "}}",
	  VENDORDATA_FOUND, OURS, "[]" },
	{ "found beside a service that failed", true,
	  "{\"y\":{},\"x\":{\"vgpu_guest_agent\":" OURS "}}", VENDORDATA_FOUND, OURS,
	  "[]" },
	{ "not below the top of plain vendordata", false,
	  "{\"x\":{\"vgpu_guest_agent\":" OURS "}}", VENDORDATA_NONE, "{}", "[]" },
	{ "at the top of plain vendordata", false, "{\"vgpu_guest_agent\":" OURS "}",
	  VENDORDATA_FOUND, OURS, "[]" },
	{ "two levels down", true, "{\"x\":{\"y\":{\"vgpu_guest_agent\":" OURS "}}}",
	  VENDORDATA_NONE, "{}", "[]" },
	{ "a wholly empty document", true, "{}", VENDORDATA_NONE, "{}", "[]" },
	{ "nothing static", true, "{\"static\":{}}", VENDORDATA_NONE, "{}", "[]" },
	{ "a service that failed", true, "{\"static\":{},\"x\":{}}", VENDORDATA_EMPTY,
	  "{}", "[]" },
	{ "a service of our name that failed", true, "{\"vgpu_guest_agent\":{}}",
	  VENDORDATA_EMPTY, "{}", "[]" },
	{ "an empty object in plain vendordata", false, "{\"vgpu_guest_agent\":{}}",
	  VENDORDATA_NONE, "{}", "[]" },
	{ "our name and no object", true, "{\"vgpu_guest_agent\":[]}", VENDORDATA_ODD,
	  "{}", "[\"S: vgpu_guest_agent is no object\"]" },
	{ "a list", true, "[]", VENDORDATA_ODD, "{}", "[\"S: no JSON object\"]" },
	{ "a web page", true, "<html>", VENDORDATA_ODD, "{}",
	  "[\"S: no JSON: line 1, column 1 is not what may stand there\"]" },
	{ "nothing", true, "", VENDORDATA_ODD, "{}",
	  "[\"S: no JSON: line 1, column 0 is not what may stand there\"]" },
};

static void every_document_is_understood(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;

		print_message("case: %s\n", cases[i].name);
		begin(&data);
		assert_int_equal(add(&data, "S", cases[i].dynamic, cases[i].text),
				 cases[i].verdict);
		assert_json(data.object, cases[i].object);
		assert_json(data.warnings, cases[i].warnings);
		assert_null(data.token);
		assert_int_equal(json_count(data.sources),
				 cases[i].verdict == VENDORDATA_FOUND);
	}
}

/* What a second, worse source adds to a first one. */
static const struct {
	const char *name, *first, *second, *merged;
} merges[] = {
	{ "other keys are added", "{\"a\":1}", "{\"b\":2}", "{\"a\":1,\"b\":2}" },
	{ "the first value counts", "{\"a\":1}", "{\"a\":2}", "{\"a\":1}" },
	{ "also inside a group", "{\"license\":{\"feature_type\":1}}",
	  "{\"license\":{\"feature_type\":2,\"gridd\":{\"x\":1}}}",
	  "{\"license\":{\"feature_type\":1,\"gridd\":{\"x\":1}}}" },
	{ "also two groups deep", "{\"license\":{\"gridd\":{\"x\":1}}}",
	  "{\"license\":{\"gridd\":{\"x\":2,\"y\":3}}}",
	  "{\"license\":{\"gridd\":{\"x\":1,\"y\":3}}}" },
	{ "a pin never meets another source's file", "{\"driver\":{\"url\":\"u\"}}",
	  "{\"driver\":{\"sha256\":\"s\",\"repository\":\"r\",\"version\":\"v\","
	  "\"upgrade\":true}}",
	  "{\"driver\":{\"url\":\"u\",\"upgrade\":true}}" },
	{ "without a pin the worse one's counts whole", "{\"driver\":{\"upgrade\":true}}",
	  "{\"driver\":{\"url\":\"u\",\"sha256\":\"s\"}}",
	  "{\"driver\":{\"upgrade\":true,\"url\":\"u\",\"sha256\":\"s\"}}" },
	{ "another type does not merge", "{\"driver\":\"x\"}",
	  "{\"driver\":{\"url\":\"u\"}}", "{\"driver\":\"x\"}" },
	{ "these names elsewhere are ordinary keys", "{\"license\":{\"url\":\"u\"}}",
	  "{\"license\":{\"version\":\"v\"}}",
	  "{\"license\":{\"url\":\"u\",\"version\":\"v\"}}" },
};

static void the_first_source_wins_by_key(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(merges); i++) {
		cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;
		cleanup_free char *first = NULL, *second = NULL;

		print_message("case: %s\n", merges[i].name);
		assert_true(asprintf(&first, "{\"vgpu_guest_agent\":%s}",
				     merges[i].first) > 0);
		assert_true(asprintf(&second, "{\"vgpu_guest_agent\":%s}",
				     merges[i].second) > 0);
		begin(&data);
		(void)add(&data, "A", true, first);
		(void)add(&data, "B", false, second);
		assert_json(data.object, merges[i].merged);
		assert_json(data.sources, "[\"A\",\"B\"]");
	}
}

static const struct {
	const char *name, *object, *token, *warnings;
} tokens[] = {
	{ "plain", "{\"client_token\":\"a.b.c\"}", "a.b.c", "[]" },
	{ "as it stands", "{\"client_token\":\" a.b.c\\n\"}", " a.b.c\n", "[]" },
	{ "base64", "{\"client_token_base64\":\"YS5iLmM=\"}", "a.b.c", "[]" },
	{ "folded base64", "{\"client_token_base64\":\"YS5i\\nLmM=\\n\"}", "a.b.c",
	  "[]" },
	{ "both", "{\"client_token\":\"x\",\"client_token_base64\":\"YS5iLmM=\"}", "x",
	  "[\"S: client_token and client_token_base64 are both there; the first counts\"]" },
	{ "bad base64", "{\"client_token_base64\":\"?\"}", NULL,
	  "[\"S: client_token_base64 is not base64\"]" },
	{ "no text", "{\"client_token\":7}", NULL, "[\"S: the token is no text\"]" },
};

static void the_token_is_taken_out_of_the_object(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(tokens); i++) {
		cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;
		cleanup_free char *text = NULL;

		print_message("case: %s\n", tokens[i].name);
		assert_true(asprintf(&text, "{\"vgpu_guest_agent\":%s}",
				     tokens[i].object) > 0);
		begin(&data);
		assert_int_equal(add(&data, "S", false, text), VENDORDATA_FOUND);
		assert_json(data.object, "{}");
		assert_json(data.warnings, tokens[i].warnings);
		if (!tokens[i].token) {
			assert_null(data.token);
			continue;
		}
		assert_int_equal(data.token_size, strlen(tokens[i].token));
		assert_string_equal(data.token, tokens[i].token);
		assert_string_equal(data.token_source, "S");
	}
}

static void the_first_token_counts(void **state)
{
	cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;

	(void)state;
	begin(&data);

	(void)add(&data, "A", false, "{\"vgpu_guest_agent\":{\"client_token\":\"new\"}}");
	(void)add(&data, "B", false, "{\"vgpu_guest_agent\":{\"client_token\":\"old\"}}");

	assert_string_equal(data.token, "new");
	assert_string_equal(data.token_source, "A");
}

static void warnings_have_an_end(void **state)
{
	cleanup(vendordata_done) struct vendordata data = VENDORDATA_INIT;

	(void)state;
	begin(&data);

	for (int i = 0; i < 100; i++)
		(void)add(&data, "S", false, "[]");

	assert_int_equal(json_count(data.warnings), 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_document_is_understood),
		cmocka_unit_test(the_first_source_wins_by_key),
		cmocka_unit_test(the_token_is_taken_out_of_the_object),
		cmocka_unit_test(the_first_token_counts),
		cmocka_unit_test(warnings_have_an_end),
	};

	return cmocka_run_group_tests_name("vendordata", tests, NULL, NULL);
}
