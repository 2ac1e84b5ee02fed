/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command line, read by getopt_long(3) from one table of options.
 */

#include <stdio.h>

#include "base/error.h"
#include "base/log.h"
#include "commands/request.h"

/* Help is in lines below this: so wide are most terminals and serial consoles. */
#define ARGS_WIDTH 80

/* Options that only some commands take; a command names its own in struct command. */
enum args_option {
	ARGS_KERNEL = 1 << 0,
	ARGS_DRIVER = 1 << 1,
	ARGS_OUTPUT = 1 << 2,
	ARGS_WAIT = 1 << 3,
	ARGS_ORIGIN = 1 << 4,
	ARGS_LOCK_WAIT = 1 << 5,
	ARGS_SIZE = 1 << 6,
	ARGS_BUNDLE = 1 << 7,
	ARGS_WATCH = 1 << 10,
	ARGS_PROMETHEUS = 1 << 11,
	ARGS_ARCHIVE = 1 << 12, /* --output of build-modules: a file */
	ARGS_PREVIOUS = 1 << 13,
	ARGS_TOKEN_ONLY = 1 << 14,
	ARGS_DOCUMENT = 1 << 15, /* --output of index: a file */
	ARGS_DROP = 1 << 16,
	ARGS_EXPIRES = 1 << 17,
	ARGS_HOST_VERSION = 1 << 18,
	ARGS_UNATTENDED = 1 << 19,
	ARGS_BACK = 1 << 20,       /* --previous of install: takes no value */
	ARGS_SIGN = 1 << 21,       /* --sign-command and --sign-cert */
	ARGS_ONE_KERNEL = 1 << 22, /* --kernel of build-modules: just one */
};

/* One line of the table: what --help, the man page and the completions say of it. */
struct args_entry {
	const char *name, *value, *help; /* value: its name in help; NULL: takes none */
	int id;
	unsigned option; /* enum args_option; 0: every command takes it */
};

struct args {
	struct request request; /* what the command gets */
	bool help, version;
	enum log_level log_level;
	unsigned given; /* which args_option bits stand on the command line */
};

/* ERROR_USAGE with the option. Strings point into `argv`. */
must_check int args_parse(int argc, char *argv[], struct args *ret_args,
			  struct error *err);

/*
 * Of a line that could not be read: the words in which it may name a command, at most two
 * operands, as if its help were asked for.
 */
void args_command_words(int argc, char *argv[], struct args *ret_args);

/* The option's own name for a message: "wait". */
const char *args_option_name(unsigned option);

/* These options and those that have the name of one of them. */
unsigned args_same_name(unsigned options);

/* The table in the order of the help. */
size_t args_count(void);
const struct args_entry *args_at(size_t index);

/* The letter that is as good as the name; '\0': there is none. */
static inline char args_letter(const struct args_entry *entry)
{
	return entry->id < 128 ? (char)entry->id : '\0';
}

/* The options of `mask` and, with `global`, those of every command, as help lines. */
void args_print_options(FILE *out, unsigned mask, bool global);
