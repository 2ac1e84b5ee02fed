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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_strangers_name_commands_no_terminal),
		cmocka_unit_test(a_text_that_is_cut_stays_utf8),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
