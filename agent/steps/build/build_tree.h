/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The trees of kernel sources that modules are built from: copied, kept for later
 * kernels, found again.
 */

#include "base/root.h"
#include "base/run.h"

/* The folder of a flavour in an unpacked package: "kernel-open" or "kernel". */
const char *build_tree_folder(bool open);
bool build_tree_has(const struct root *root, const char *tree, const char *folder);

/* All that is in the folder `from` into a new folder `to`, which replaces an old one. */
must_check int build_tree_copy(struct runner *runner, const struct root *root,
			       const char *from, const char *to, struct error *err);

/* Whether sources of this version lie where the agent registers them with DKMS. */
bool build_tree_is_ours(const struct root *root, const char *version);

/*
 * Keeps the kernel folder of `tree` for later kernels, replaced whole; sources of other
 * versions are removed. Where they are kept already nothing changes.
 */
must_check int build_tree_keep(struct runner *runner, const struct root *root,
			       const char *tree, const char *version, bool open,
			       struct error *err);

/*
 * The kept sources of `version`, as a tree for build_modules(): PATHS_SOURCES "/VERSION",
 * or those that DKMS builds from. False: none.
 */
bool build_tree_kept(const struct root *root, const char *version, char *ret_tree,
		     size_t size, bool *ret_open);
