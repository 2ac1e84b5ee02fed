/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A runner that answers for commands as a test tells it to. A command that no line of
 * the script answers fails the test.
 */

#include "base/run.h"

#define SCRIPT_MAX 40

struct script;

struct script_answer {
	const char *match;  /* stands in "argv0 argv1 ..."; the first one that does */
	const char *output; /* NULL: none */
	void (*act)(struct script *script, const struct run *run); /* does the effect */
	int status, signal;
	unsigned times; /* it answers so often, then later lines do; 0: always */
	bool timed_out;
};

struct script {
	struct runner runner;                /* hand on &script.runner */
	const struct script_answer *answers; /* the last one has no match */
	void *context;                       /* for act */
	unsigned used[SCRIPT_MAX];
	char log[65536]; /* one line per command: NAME=VALUE..., argv */
};

void script_init(struct script *script, const struct script_answer *answers,
		 void *context);

/* How many lines of the log hold `text`. */
int script_count(const struct script *script, const char *text);
