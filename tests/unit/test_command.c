/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/command.h"

#include <string.h>

#include "support/cmocka.h"

static char *argv_of_line[16]; /* of the last line */
static int argc_of_line;

/* Parses a line of blank-separated words; -1 with the error, as main() would. */
static int parse(const char *line, struct args *args, const struct command **command,
		 struct error *err)
{
	static char words[256];
	char **argv = argv_of_line;
	int argc = 0;

	(void)snprintf(words, sizeof(words), "%s", line);
	argv[argc++] = (char[]){ "vgpu-guest-agent" };
	for (char *at = words; *at && argc < 15;) {
		argv[argc++] = at;
		at += strcspn(at, " ");
		if (*at)
			*at++ = '\0';
	}
	argv[argc] = NULL;
	argc_of_line = argc;

	if (args_parse(argc, argv, args, err) < 0)
		return -1;
	return command_find(args, command, err);
}

static void options_stand_before_or_after_the_command(void **state)
{
	static const char *const lines[] = { "--json status --wait 5",
					     "status --wait 5 --json",
					     "--wait=5 --json status" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
		const struct command *command = NULL;
		struct error err = ERROR_INIT;
		struct args args;

		assert_int_equal(parse(lines[i], &args, &command, &err), 0);
		assert_string_equal(command->name, "status");
		assert_true(args.request.json);
		assert_int_equal(args.request.wait_s, 5);
	}
}

/* The one option that takes a value or none, by the command. */
static void previous_takes_a_file_but_of_install(void **state)
{
	static const struct {
		const char *line, *file, *word;
	} rows[] = {
		{ "install --previous", NULL, NULL },
		{ "--previous install", NULL, NULL },
		{ "--json --root /mnt install --previous --kernel 6.1", NULL, NULL },
		{ "index --previous old.json a.run", "old.json", "a.run" },
		{ "--previous old.json index a.run", "old.json", "a.run" },
		{ "index --previous=install install", "install", "install" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct command *command = NULL;
		struct error err = ERROR_INIT;
		struct args args;

		if (parse(rows[i].line, &args, &command, &err) < 0)
			fail_msg("%s: %s", rows[i].line, err.text);
		assert_int_equal(args.request.options.previous, !rows[i].file);
		assert_int_equal(args.request.operand_count, rows[i].word != NULL);
		if (rows[i].file)
			assert_string_equal(args.request.previous, rows[i].file);
		if (rows[i].word)
			assert_string_equal(args.request.operands[0], rows[i].word);
	}
}

static void a_command_may_have_two_words_and_a_file(void **state)
{
	const struct command *command = NULL;
	struct error err = ERROR_INIT;
	struct args args;

	(void)state;
	assert_int_equal(parse("token check /tmp/x.tok", &args, &command, &err), 0);

	assert_string_equal(command->name, "token check");
	assert_int_equal(args.request.operand_count, 1);
	assert_string_equal(args.request.operands[0], "/tmp/x.tok");
}

static void what_is_not_understood_is_usage_with_a_way_out(void **state)
{
	static const struct {
		const char *line, *text, *hint;
	} cases[] = {
		{ "", "which command", "--help" },
		{ "statsu", "no command \"statsu\"", "\"status\"" },
		{ "token chek", "no command \"token\"", "\"token check\"" },
		{ "statu --wait 3", "no command", "\"status\"" },
		{ "unistall", "no command", "\"uninstall\"" },
		{ "s", "no command", "--help" }, /* status or seal */
		{ "xyz", "no command", "--help" },
		{ "status --wiat 5", "unknown option --wiat", "did you mean --wait?" },
		{ "status --promethus", "unknown option --promethus",
		  "did you mean --prometheus?" },
		{ "run --kernal=6.1", "unknown option --kernal=6.1",
		  "did you mean --kernel?" },
		{ "run --frobnicate", "unknown option", "" },
		{ "frobnicate", "no command", "--help" },
		{ "stat", "no command", "\"status\"" },
		{ "helm", "no command", "--help" },
		{ "token", "no command \"token\"",
		  "\"token check\" or \"token install\"" },
		{ "config", "no command", "\"config show\" or \"config check\"" },
		{ "config shew", "no command", "\"config show\"" },
		{ "status extra", "unexpected argument \"extra\"", "status --help" },
		{ "detect --wait 5", "does not take --wait", "detect --help" },
		{ "status --wait", "--wait needs a value", "" },
		{ "status --wait soon", "--wait soon", "" },
		{ "--frob status", "unknown option --frob", "" },
		{ "-x status", "unknown option -x", "" },
		{ "tokn", "no command \"tokn\"", "\"token check\" or \"token install\"" },
		{ "confg", "no command", "\"config show\" or \"config check\"" },
		{ "index --kernel 6.1", "does not take --kernel", "index --help" },
		{ "fetch --previous x", "does not take --previous", "fetch --help" },
		{ "--log-level loud status", "--log-level loud", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct command *command = NULL;
		struct error err = ERROR_INIT;
		struct args args;

		print_message("case: %s\n", cases[i].line);
		assert_int_equal(parse(cases[i].line, &args, &command, &err), -1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_non_null(strstr(err.text, cases[i].text));
		if (!strstr(err.hint, cases[i].hint))
			fail_msg("%s: %s", cases[i].line, err.hint);
	}
}

static void a_line_that_cannot_be_read_names_its_command(void **state)
{
	static const struct {
		const char *line, *command;
	} rows[] = {
		{ "status --frob", "status" },
		{ "--config x.conf status --wait", "status" },
		{ "--frob status", "status" },
		{ "token check --frob", "token check" },
		{ "token check file --frob", "token check" },
		{ "index a.run b.run --frob", "index" },
		{ "install --previous --frob", "install" },
		{ "--frob", NULL },
		{ "frobnicate --frob", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct command *command = NULL;
		struct error err = ERROR_INIT;
		struct args args;

		assert_int_equal(parse(rows[i].line, &args, &command, &err), -1);
		args_command_words(argc_of_line, argv_of_line, &args);
		err = ERROR_INIT;
		if (command_find(&args, &command, &err) == 0)
			assert_string_equal(command->name, rows[i].command);
		else
			assert_null(rows[i].command);
	}
}

static void modules_are_built_for_one_kernel_and_its_option_says_so(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_non_null(out);
	for (size_t i = 0; i < command_table_size; i++) {
		if (strcmp(command_table[i].name, "build-modules") == 0)
			command_print_help(out, &command_table[i]);
	}
	assert_int_equal(fclose(out), 0);
	assert_non_null(strstr(text, "--kernel REL"));
	assert_null(strstr(text, "kernel release; repeatable"));
	free(text);
}

/* Also on a serial console; an example is one line, to be copied. */
static void help_is_as_wide_as_a_terminal(void **state)
{
	(void)state;
	for (size_t i = 0; i <= command_table_size; i++) {
		cleanup_free char *text = NULL;
		size_t size;
		FILE *out = open_memstream(&text, &size);
		struct span rest, line;

		assert_non_null(out);
		command_print_help(out,
				   i < command_table_size ? &command_table[i] : NULL);
		assert_int_equal(fclose(out), 0);
		rest = (struct span){ text, size };
		while (span_next_line(&rest, &line)) {
			if (line.len > 80 && !span_starts(line, "Example: "))
				fail_msg("%.*s", (int)line.len, line.at);
		}
	}
}

static void quiet_and_verbose_move_the_level(void **state)
{
	const struct command *command = NULL;
	struct error err = ERROR_INIT;
	struct args args;

	(void)state;
	assert_int_equal(parse("-vv status", &args, &command, &err), 0);
	assert_int_equal(args.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(parse("-qqqqq status", &args, &command, &err), 0);
	assert_int_equal(args.log_level, LOG_LEVEL_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_before_or_after_the_command),
		cmocka_unit_test(previous_takes_a_file_but_of_install),
		cmocka_unit_test(a_command_may_have_two_words_and_a_file),
		cmocka_unit_test(what_is_not_understood_is_usage_with_a_way_out),
		cmocka_unit_test(a_line_that_cannot_be_read_names_its_command),
		cmocka_unit_test(modules_are_built_for_one_kernel_and_its_option_says_so),
		cmocka_unit_test(help_is_as_wide_as_a_terminal),
		cmocka_unit_test(quiet_and_verbose_move_the_level),
	};

	return cmocka_run_group_tests_name("command", tests, NULL, NULL);
}
