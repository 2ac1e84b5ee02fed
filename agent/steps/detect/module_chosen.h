/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The module nvidia that modprobe would take for a kernel, by the rules that depmod left
 * in its indexes: asked of modinfo, which reads them inside the root.
 */

#include "base/root.h"
#include "base/run.h"

#define MODULE_CHOSEN_MAX 256

/*
 * One of its fields, "filename" or "version"; "" where there is no such module, or no
 * modinfo that could tell.
 */
must_check int module_chosen(struct runner *runner, const struct root *root,
			     const char *release, const char *field,
			     char ret_value[static MODULE_CHOSEN_MAX], struct error *err);
