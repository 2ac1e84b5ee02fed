/* SPDX-License-Identifier: Apache-2.0 */
#include "manual/manual.h"

#include <string.h>

#include "cli/args.h"
#include "cli/command.h"
#include "model/settings/settings_table.h"
#include "support/cmocka.h"

/* What a writer writes; the caller frees it. */
static char *text_of(void (*write)(FILE *out))
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	write(out);
	assert_int_equal(fclose(out), 0);
	return text;
}

static int page(const char *template, const char *conf, char **ret_text,
		struct error *err)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	int result;

	assert_non_null(out);
	result = page_write(out, span_of(template), span_of(conf), err);
	assert_int_equal(fclose(out), 0);
	*ret_text = text;
	return result;
}

static void (*const shells[])(FILE *) = { complete_bash, complete_zsh, complete_fish };

static void every_shell_knows_every_option_and_command(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(shells); i++) {
		cleanup_free char *text = text_of(shells[i]);

		for (size_t k = 0; k < args_count(); k++) {
			print_message("%zu %s\n", i, args_at(k)->name);
			assert_non_null(strstr(text, args_at(k)->name));
		}
		for (size_t k = 0; k < command_table_size; k++) {
			const char *last = strrchr(command_table[k].name, ' ');

			assert_non_null(
				strstr(text, last ? last : command_table[k].name));
		}
		for (size_t k = 0; k < settings_table_count(); k++)
			assert_non_null(strstr(text, settings_table_at(k)->path));
	}
}

static void the_page_lists_commands_options_and_statuses(void **state)
{
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(
		page(".TH X\n@COMMANDS@\n@OPTIONS@\n@STATUSES@\n", "", &text, &err), 0);

	assert_non_null(strstr(text, ".TH X\n"));
	assert_non_null(strstr(text, ".SS \"token install [OPTIONS] [FILE]\"\n"));
	assert_non_null(strstr(text, "\\fB\\-\\-lock\\-wait\\fR \\fISECONDS\\fR"));
	assert_non_null(strstr(text, "\\fB\\-\\-offline\\fR\n"));
	assert_non_null(strstr(text, "\\fB15\\fR busy\n"));
}

static void a_key_is_explained_by_the_comment_of_its_own_section(void **state)
{
	static const char conf[] = "a: {\n  wait = 1;   # another wait\n};\n"
				   "license: {\n  wait = 300;  #    seconds\n"
				   "  feature_type = 1;  # M  .dots and -dashes\n};\n";
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(page("@KEYS@\n", conf, &text, &err), 0);

	assert_non_null(strstr(text, "\\fBlicense.wait\\fR (a whole number, 0 to 86400; "
				     "default: 300)\nseconds\n"));
	assert_non_null(
		strstr(text, "also from the metadata)\n\\&.dots and \\-dashes\n"));
	assert_null(strstr(text, "another wait"));
}

static void a_list_of_another_name_is_an_error(void **state)
{
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(page("@COMANDS@\n", "", &text, &err), -1);
	assert_non_null(strstr(err.text, "@COMANDS@"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_shell_knows_every_option_and_command),
		cmocka_unit_test(the_page_lists_commands_options_and_statuses),
		cmocka_unit_test(a_key_is_explained_by_the_comment_of_its_own_section),
		cmocka_unit_test(a_list_of_another_name_is_an_error),
	};

	return cmocka_run_group_tests_name("manual", tests, NULL, NULL);
}
