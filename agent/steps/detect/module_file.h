/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the file of a kernel module says of itself: read in this process by libkmod, which
 * is opened at run time, because a run that changes nothing reads no module. The only
 * room that knows libkmod.
 *
 * libkmod takes paths, and would follow a link out of the root. It gets none: each file
 * is opened inside the root, and libkmod is given that descriptor's name below
 * /proc/self/fd. Its indexes and its configuration are not read at all; which module
 * modprobe would take is asked by steps/detect/module_chosen.h, inside the root.
 */

#include <stddef.h>

#include "base/error.h"
#include "base/root.h"

struct module_file_library;

/* ERROR_PREREQUISITES where libkmod is not installed. NULL is fine for the second. */
must_check int module_file_open(struct module_file_library **ret_library,
				struct error *err);
void module_file_close(struct module_file_library *library);
static inline void module_file_close_cleanup_(struct module_file_library **library)
{
	module_file_close(*library);
}
#define cleanup_module_file cleanup(module_file_close_cleanup_)

/*
 * One field as modinfo names it, "vermagic" or "signer", without blanks at its ends; ""
 * where the module has none.
 * ERROR_INTEGRITY for what is no module.
 */
must_check int module_file_field(const struct module_file_library *library,
				 const struct root *root, const char *path,
				 const char *field, char *ret_value, size_t size,
				 struct error *err);

/*
 * The symbol versions as lines for model/kernel/symvers.h, "" where the module has none.
 * The caller frees them.
 */
must_check int module_file_versions(const struct module_file_library *library,
				    const struct root *root, const char *path,
				    char **ret_text, struct error *err);
