/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command table: one line per command, read by dispatch and by help.
 */

#include <stdio.h>

#include "base/json.h"
#include "cli/args.h"

enum command_flags {
	COMMAND_NEEDS_ROOT = 1 << 0, /* ERROR_PERMISSION without uid 0 */
	COMMAND_LOCKS = 1 << 1,      /* one instance at a time */
};

struct command {
	const char *name; /* one word or two: "token install" */
	/*
	 * `ret_report` may be set on failure, too: then it is printed with the error. The
	 * operands are the words after the command's name.
	 */
	int (*run)(struct agent *agent, const struct args *args, struct json **ret_report,
		   struct error *err);
	void (*print)(const struct json *report, const struct args *args);
	const char *operands; /* for help: "[FILE]" or "" */
	size_t operands_max;
	unsigned options; /* enum args_option */
	unsigned flags;
	const char *summary;
};

extern const struct command command_table[];
extern const size_t command_table_size;

/*
 * The command that the operands name; takes its words off them. ERROR_USAGE with the
 * nearest name for an unknown one, and for options and arguments it does not take.
 */
must_check int command_find(struct args *args, const struct command **ret_command,
			    struct error *err);

void command_print_help(FILE *out, const struct command *command); /* NULL: of all */
