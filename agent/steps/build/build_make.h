/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs make, and says in words what went wrong and whether its modules are the right
 * ones: what steps/build/build.c and steps/build/build_dkms.c share.
 */

#include "steps/build/build.h"

/* How many compilers at once fit into this machine's memory. */
long build_make_jobs(void);

/* make itself, in the folder `work`. */
must_check int build_make_modules(struct runner *runner, const struct root *root,
				  const struct build_input *input, const char *work,
				  struct error *err);

/* Any other command of the build; ERROR_BUILD in the words of build_make_explain(). */
must_check int build_make_tool(struct runner *runner, const struct root *root,
			       const struct run *run, const char *what,
			       struct error *err);

/*
 * A command that failed: how it ended and the lines of its output that say why, or which
 * file system is full.
 */
int build_make_explain(const struct root *root, const struct run_result *result,
		       const struct run *run, const char *what, struct error *err);

/*
 * A module must be the asked driver's, for the asked kernel: insmod would be the first to
 * say that it is not.
 */
must_check int build_make_check(const struct root *root, const struct build_input *input,
				const char *module, struct error *err);
