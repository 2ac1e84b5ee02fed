/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The index of a kernel's modules. Before modules come or go it is noted that depmod is
 * owed: modules alone do not tell whether the index knows them, and one that was cut off
 * is made up for by the next run.
 */

#include "base/root.h"
#include "base/run.h"

must_check int depmod_owe(const struct root *root, const char *release,
			  struct error *err);

/*
 * Removes what a depmod that was killed has left, runs depmod, syncs its files, and
 * nothing is owed any more. ERROR_INSTALL also where depmod ended well and left an index
 * as it was.
 */
must_check int depmod_run(struct runner *runner, const struct root *root,
			  const char *release, struct error *err);

must_check int depmod_is_owed(const struct root *root, const char *release,
			      bool *ret_owed, struct error *err);

/* Nothing was changed after all. */
must_check int depmod_forgive(const struct root *root, const char *release,
			      struct error *err);

/* depmod_run() for each kernel that it is owed for and that is still there. */
must_check int depmod_make_up(struct runner *runner, const struct root *root,
			      struct error *err);
