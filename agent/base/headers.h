/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The folder that a kernel module is compiled against: whether it is there whole.
 * Packages share it out among themselves and join the parts by links, so that the folder
 * stays while what it needs is gone.
 */

#include "base/root.h"

/*
 * What kbuild asks for before it builds a module outside of the kernel's tree, each a
 * file with something behind its name; no entry of the folder a link to nothing; and what
 * its Makefile includes, because Debian's is one line that names another package's.
 */
must_check int headers_whole(const struct root *root, const char *build, bool *ret_whole,
			     struct error *err);

/* Whether something is at the end of a path, links followed. */
must_check int headers_look(const struct root *root, const char *dir, const char *file,
			    bool *ret_there, struct error *err);
