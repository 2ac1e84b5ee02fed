/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What only the doctor looks at: the module's own words, gridd.conf, the daemon's
 * journal.
 */

#include "base/root.h"
#include "base/run.h"

struct diagnose_module {
	char vermagic[80]; /* the kernel release the module was built for; "": no module
			    */
	bool is_signed;
};

/* The module nvidia that modprobe would take for this kernel. */
must_check int diagnose_module(struct runner *runner, const struct root *root,
			       const char *release, struct diagnose_module *ret_module,
			       struct error *err);

struct diagnose_conf {
	char error[160]; /* why gridd.conf cannot be read; "" also where there is none */
	bool denied;     /* that is for want of root */
	bool exists;
	char feature_type[32], token_dir[256], proxy[160]; /* "" where it does not say */
	int64_t changed;                                   /* microseconds since 1970 */
};

/* gridd.conf, as nvidia-gridd reads it. */
void diagnose_conf(const struct root *root, struct diagnose_conf *ret_conf);

/*
 * Something that is no readable file in the token's folder; false where there is none.
 * `ret_denied`: for want of root.
 */
bool diagnose_token_folder(const struct root *root, const char *folder, bool *ret_denied,
			   char *ret_why, size_t size);
