/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command table: one line per command, read by dispatch and by help.
 */

#include <stdio.h>

#include "base/json.h"
#include "cli/args.h"
#include "commands/commands.h"

enum command_flags {
	COMMAND_NEEDS_ROOT = 1 << 0,  /* ERROR_PERMISSION without uid 0 */
	COMMAND_LOCKS = 1 << 1,       /* one instance at a time */
	COMMAND_BY_TIMER = 1 << 2,    /* tried again by itself while it fails */
	COMMAND_READS_AGAIN = 1 << 3, /* where the repository disagrees with itself */
	COMMAND_ASKS_HOST = 1 << 4,   /* only root can read the host's driver version */
};

struct command {
	const char *name; /* one word or two: "token install" */
	/* Its work, of commands/commands.h. */
	int (*run)(struct agent *agent, const struct request *request,
		   struct json **ret_report, struct error *err);
	/* Its report for people; NULL: it says what it has to say by other means. */
	void (*print)(const struct json *report, const struct request *request);
	const char *operands; /* for help: "[FILE]" or "" */
	size_t operands_max;
	unsigned options; /* enum args_option */
	unsigned flags;
	const char *summary;
	unsigned statuses; /* bits of enum error_code, besides 0, 1 and 2 */
	const char *example;
};

extern const struct command command_table[];
extern const size_t command_table_size;

/*
 * The command that the operands name; takes its words off them. ERROR_USAGE with the
 * nearest name for an unknown one, and for options and arguments it does not take: then
 * the command is told, too.
 */
must_check int command_find(struct args *args, const struct command **ret_command,
			    struct error *err);

/* Where help is asked of a word with which commands begin, like "token": prints that. */
bool command_help_group(FILE *out, const struct args *args);

void command_print_help(FILE *out, const struct command *command); /* NULL: of all */
