/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/token.h"

#include <string.h>

#include "support/cmocka.h"

static struct json *check_of(const char *text)
{
	struct error err = ERROR_INIT;
	struct json *check = NULL;

	assert_int_equal(json_parse(text, strlen(text), &check, &err), 0);
	return check;
}

#define CLEAN "{\"problems\":[]}"
#define BOM "{\"code\":\"bom\",\"severity\":\"warning\",\"message\":\"B\"}"
#define SPACE "{\"code\":\"whitespace\",\"severity\":\"warning\",\"message\":\"W\"}"
#define EXPIRED "{\"code\":\"expired\",\"severity\":\"warning\",\"message\":\"E\"}"
#define GLUED "{\"code\":\"glued\",\"severity\":\"error\",\"message\":\"two at 7\"}"

static const struct {
	const char *check;
	int result;
	bool suspect;
	const char *text; /* the warning or the error */
} cases[] = {
	{ CLEAN, 0, false, "" },
	{ "{\"problems\":[" BOM "]}", 0, false, "B" },
	{ "{\"problems\":[" BOM "," SPACE "]}", 0, false, "B; W" },
	{ "{\"problems\":[" BOM "," EXPIRED "]}", 0, true, "B; E" },
	{ "{\"problems\":[" BOM "," GLUED "]}", -1, true, "two at 7" },
	{ "{\"problems\":[{}]}", -1, true, "the worker does not say why" },
	{ "{}", -1, true, "the check of the token has no problems list" },
};

static void errors_refuse_and_warnings_do_not(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *check = check_of(cases[i].check);
		struct error err = ERROR_INIT;
		char warning[64];

		print_message("case: %s\n", cases[i].check);
		assert_int_equal(token_accept(check, warning, sizeof(warning), &err),
				 cases[i].result);
		assert_string_equal(cases[i].result < 0 ? err.text : warning,
				    cases[i].text);
		assert_true(token_is_suspect(check) == cases[i].suspect);
	}
}

static void a_server_is_a_bare_name_or_address(void **state)
{
	static const struct {
		const char *host;
		bool bare;
	} rows[] = {
		{ "dls.example", true },     { "10.0.0.5", true },
		{ "2001:db8::10", true },    { "::1", true },
		{ "[2001:db8::10]", false }, { "https://name/", false },
		{ "name:443", false },       { "10.0.0.5:443", false },
		{ "name/path", false },      { "me@name", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *check =
			json_build("{s:[{s:s},{s:s}]}", "servers", "host",
				   "first.example", "host", rows[i].host);
		char server[64];

		if (token_server_form(check, server, sizeof(server)) != rows[i].bare)
			fail_msg("%s", rows[i].host);
		assert_string_equal(server, rows[i].bare ? "" : rows[i].host);
	}
}

static void an_error_is_a_token_error_with_a_way_out(void **state)
{
	cleanup_json struct json *check = check_of("{\"problems\":[" GLUED "]}");
	struct error err = ERROR_INIT;
	char warning[64];

	(void)state;

	assert_int_equal(token_accept(check, warning, sizeof(warning), &err), -1);

	assert_int_equal(err.code, ERROR_TOKEN);
	assert_non_null(strstr(err.hint, "keep one token"));
}

static void long_warnings_are_cut_not_overrun(void **state)
{
	cleanup_json struct json *check = check_of("{\"problems\":[" BOM "," SPACE "]}");
	struct error err = ERROR_INIT;
	char warning[3];

	(void)state;

	assert_int_equal(token_accept(check, warning, sizeof(warning), &err), 0);

	assert_int_equal(strnlen(warning, sizeof(warning)), 2);
}

static void several_tokens_are_one_more_warning(void **state)
{
	cleanup_json struct json *check = check_of("{\"problems\":[" BOM "]}");
	struct error err = ERROR_INIT;
	char warning[128];

	(void)state;

	assert_int_equal(token_add_several(check, 2), 0);

	assert_true(token_is_suspect(check));
	assert_int_equal(token_accept(check, warning, sizeof(warning), &err), 0);
	assert_string_equal(warning,
			    "B; the folder holds 2 tokens; nvidia-gridd wants one");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(errors_refuse_and_warnings_do_not),
		cmocka_unit_test(a_server_is_a_bare_name_or_address),
		cmocka_unit_test(an_error_is_a_token_error_with_a_way_out),
		cmocka_unit_test(long_warnings_are_cut_not_overrun),
		cmocka_unit_test(several_tokens_are_one_more_warning),
	};

	return cmocka_run_group_tests_name("token", tests, NULL, NULL);
}
