/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/installer_log.h"

#include <string.h>

#include "support/cmocka.h"

#define FAILED "ERROR: Installation has failed.  Please see the file '/x' for details.\n"

static void the_errors_that_tell_are_found(void **state)
{
	static const struct {
		const char *log, *errors;
	} cases[] = {
		{ "-> Detected 24 CPUs online.\n"
		  "ERROR: You appear to be running an X server;  please exit X.\n" FAILED,
		  "You appear to be running an X server; please exit X." },
		{ "ERROR: one\nERROR: two\t\t\x1b[1m\nERROR: three\n", "one; two ?[1m" },
		{ "WARNING: ERROR: no\n-> ERROR: no\n" FAILED,
		  "Installation has failed. Please see the file '/x' for details." },
		{ FAILED "ERROR: the reason\n", "the reason" },
		{ "-> fine\n", "" },
		{ "", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		char errors[256];

		installer_log_errors(span_of(cases[i].log), errors, sizeof(errors));
		assert_string_equal(errors, cases[i].errors);
	}
}

static void long_texts_are_cut(void **state)
{
	char log[2048] = "ERROR: ", errors[100];

	(void)state;
	memset(log + strlen(log), 'x', sizeof(log) - strlen(log) - 1);

	installer_log_errors((struct span){ log, sizeof(log) - 1 }, errors,
			     sizeof(errors));

	assert_int_equal(strlen(errors), sizeof(errors) - 1);
}

static void an_option_is_a_whole_word(void **state)
{
	static const char help[] = "  -K, --kernel-modules-only\n"
				   "  --no-kernel-modules\n  --dkms, --no-dkms\n"
				   "  --log-file-name=LOG-FILE-NAME\n  --no-x-check";
	static const struct {
		const char *option;
		bool known;
	} cases[] = {
		{ "--no-kernel-module", false }, { "--no-kernel-modules", true },
		{ "--no-dkms", true },           { "--dkms", true },
		{ "--log-file-name", true },     { "--no-x-check", true },
		{ "--no-x-checks", false },      { "--no-nouveau-check", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(installer_log_has_option(span_of(help), cases[i].option),
				 cases[i].known);
	assert_false(installer_log_has_option(span_of(""), "--x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_errors_that_tell_are_found),
		cmocka_unit_test(long_texts_are_cut),
		cmocka_unit_test(an_option_is_a_whole_word),
	};

	return cmocka_run_group_tests_name("installer_log", tests, NULL, NULL);
}
