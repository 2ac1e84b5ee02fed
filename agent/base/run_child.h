/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The other side of base/run.c: what happens in the child between fork and exec.
 */

#include <sys/types.h>

#include "base/run.h"

#define RUN_FDS_MAX 16

struct run_child {
	const struct run *run;
	const struct root *root;
	int input;  /* becomes 0 */
	int output; /* becomes 1 and 2 */
	int report; /* gets a struct run_report when there is no exec; close-on-exec */
};

enum run_child_stage {
	RUN_CHILD_START, /* exec itself */
	RUN_CHILD_ROOT,
	RUN_CHILD_FOLDER,
	RUN_CHILD_FILES,
};

/* Small enough to come through the pipe in one piece. */
struct run_report {
	enum run_child_stage stage;
	int errnum; /* 0: nothing failed */
};

/* The child's pid, which is its process group and session too; -1. */
must_check pid_t run_child_start(const struct run_child *child, struct error *err);

/* "starting", "changing root for" */
const char *run_child_stage(enum run_child_stage stage);
