/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Who else than a file's mode keeps root from running or loading a file of the driver's:
 * SELinux, fapolicyd, or IMA's appraisal. The kernel says only EACCES or EPERM.
 */

#include "base/root.h"

struct denied {
	const char *by; /* "SELinux", "fapolicyd", "IMA": it enforces; NULL: none does */
	char line[200]; /* its last denial since the boot, of what has to do with the
			   driver, in the audit log; "": none is there, or not to be read
			 */
};

/*
 * The one that has denied something, else the one that enforces and whose errno that is
 * (SELinux and IMA EACCES, fapolicyd EPERM); `errnum` 0: any.
 */
void denied_look(const struct root *root, int errnum, struct denied *ret_denied);

/*
 * Where the text of `err` tells of EACCES or EPERM and one of them enforces: says so,
 * with the denial, and what cures it; waiting may help then, for whoever labels or trusts
 * the file need not run the agent.
 */
void denied_explain(const struct root *root, struct error *err);
