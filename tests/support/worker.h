/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A worker that is a shell script, for tests of what lies above the channel: it answers
 * each job as a test tells it to, and a job that no answer is for ends it without one.
 */

#include "support/stage.h"

struct worker_answer {
	const char *job;    /* the last one has none */
	const char *act;    /* shell, before the answer: "cat <&4 >&5"; NULL: nothing */
	const char *answer; /* its one line, without apostrophes */
};

/*
 * The stage's worker from now on. What it was asked stands in the root's "/requests", a
 * line each.
 */
void worker_set(struct stage *stage, const struct sysroot *sysroot,
		const struct worker_answer *answers);

/* How many of these requests hold `text`. */
int worker_count(const struct sysroot *sysroot, const char *text);
