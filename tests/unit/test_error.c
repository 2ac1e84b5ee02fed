/* SPDX-License-Identifier: Apache-2.0 */
#include "base/error.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

/* A name that a repository, a worker or a file may have, and what may be shown of it. */
static const struct {
	const char *name, *shown;
} strangers[] = {
	{ "\033[2Jx", "?[2Jx" },
	{ "a\r\nb", "a??b" },
	{ "x86\17764", "x86?64" },
	{ "a\xff", "a?" },
	{ "pl\xc3\xa4in", "pl\xc3\xa4in" },
};

static void a_strangers_name_commands_no_terminal(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(strangers); i++) {
		struct error err = ERROR_INIT;
		char expected[128];

		(void)error_set(&err, ERROR_INTEGRITY, "%s", strangers[i].name);
		assert_string_equal(err.text, strangers[i].shown);

		(void)error_prefix(&err, "in %s", strangers[i].name);
		(void)text_format(expected, sizeof(expected), "in %s: %s",
				  strangers[i].shown, strangers[i].shown);
		assert_string_equal(err.text, expected);

		(void)error_hint(&err, "look at %s", strangers[i].name);
		(void)text_format(expected, sizeof(expected), "look at %s",
				  strangers[i].shown);
		assert_string_equal(err.hint, expected);

		(void)error_set_errno(&err, ENOENT, "%s", strangers[i].name);
		(void)text_format(expected, sizeof(expected),
				  "%s: No such file or directory", strangers[i].shown);
		assert_string_equal(err.text, expected);
	}
}

/* A text that does not fit is cut; half a character would be no UTF-8. */
static void a_text_that_is_cut_stays_utf8(void **state)
{
	struct error err = ERROR_INIT;
	char name[2 * sizeof(err.text)];

	(void)state;
	for (size_t i = 0; i + 2 < sizeof(name); i += 2)
		memcpy(name + i, "\xc3\xa4", 3);

	for (size_t shift = 0; shift < 2; shift++) {
		const char *at = err.text;

		(void)error_set(&err, ERROR_USAGE, "%s%s", shift ? "x" : "", name);
		while (*at) {
			size_t length = text_utf8_length(at, strlen(at));

			assert_true(length > 0);
			at += length;
		}
	}
}

/* Which status a failed call has, and whether trying again later can help. */
static const struct {
	int errnum;
	enum error_code code;
	bool passing;
} calls[] = {
	{ EACCES, ERROR_PERMISSION, false },   { EPERM, ERROR_PERMISSION, false },
	{ EROFS, ERROR_PERMISSION, false },    { EISDIR, ERROR_PERMISSION, false },
	{ EBUSY, ERROR_PERMISSION, true },     { ENOSPC, ERROR_PREREQUISITES, true },
	{ EDQUOT, ERROR_PREREQUISITES, true }, { EIO, ERROR_INTERNAL, true },
	{ ENOMEM, ERROR_INTERNAL, true },      { EMFILE, ERROR_INTERNAL, true },
};

static void a_failed_call_says_whether_waiting_can_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct error err = ERROR_INIT;

		(void)error_set_errno(&err, calls[i].errnum, "writing x");
		assert_int_equal(err.code, calls[i].code);
		assert_int_equal(err.passing, calls[i].passing);
	}
}

/* What only a person changes, and what comes from outside. */
static const struct {
	enum error_code code;
	bool passing;
} kinds[] = {
	{ ERROR_USAGE, false },     { ERROR_NO_MATCH, false },
	{ ERROR_NETWORK, true },    { ERROR_INTEGRITY, false },
	{ ERROR_BUILD, false },     { ERROR_INSTALL, false },
	{ ERROR_TOKEN, true },      { ERROR_SECURE_BOOT, false },
	{ ERROR_UNLICENSED, true }, { ERROR_REBOOT, false },
	{ ERROR_BUSY, true },       { ERROR_PERMISSION, false },
};

static void each_status_says_whether_waiting_can_help(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct error err = ERROR_INIT;

		(void)error_set(&err, kinds[i].code, "x");
		assert_int_equal(err.passing, kinds[i].passing);
		(void)error_passing(&err, !kinds[i].passing);
		assert_int_equal(err.passing, !kinds[i].passing);
	}
}

/* Another meaning is another answer, but a shortage stays one. */
static void a_shortage_is_one_whatever_it_means(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;
	(void)error_set_errno(&err, EIO, "reading agent.conf");
	(void)error_recode(&err, ERROR_USAGE);
	assert_true(err.passing);

	(void)error_set_errno(&err, ENOENT, "reading agent.conf");
	(void)error_recode(&err, ERROR_USAGE);
	assert_false(err.passing);
}

/* What may be written, and cannot: another place or another mount helps, no other user.
 */
static void a_place_that_cannot_be_written_has_a_way_out(void **state)
{
	static const struct {
		int number;
		enum error_code code;
		const char *hint; /* "": there is none */
	} rows[] = {
		{ EROFS, ERROR_PERMISSION, "remount" },
		{ EBUSY, ERROR_PERMISSION, "findmnt" },
		{ EISDIR, ERROR_PERMISSION, "a folder is where a file belongs" },
		{ EACCES, ERROR_PERMISSION, "" },
		{ ENOSPC, ERROR_PREREQUISITES, "" },
		{ EIO, ERROR_INTERNAL, "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(error_set_errno(&err, rows[i].number, "writing /x"), -1);
		assert_int_equal(err.code, rows[i].code);
		if (!rows[i].hint[0])
			assert_string_equal(err.hint, "");
		else if (!strstr(err.hint, rows[i].hint))
			fail_msg("%s", err.hint);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_strangers_name_commands_no_terminal),
		cmocka_unit_test(a_text_that_is_cut_stays_utf8),
		cmocka_unit_test(a_failed_call_says_whether_waiting_can_help),
		cmocka_unit_test(each_status_says_whether_waiting_can_help),
		cmocka_unit_test(a_shortage_is_one_whatever_it_means),
		cmocka_unit_test(a_place_that_cannot_be_written_has_a_way_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
