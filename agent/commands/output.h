/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A file that the caller names for what a command makes: what is wrong with the place is
 * said before the work, which may take hours, and not after it.
 */

#include <sys/stat.h>

#include "core/context.h"

/*
 * Whether `file` can be written whole: no folder or device stands there, and its folder
 * is there and can be written. `ret_path` gets it absolute, `ret_st` what is there now
 * (st_mode 0: nothing). ERROR_USAGE where it names no file, else ERROR_PERMISSION;
 * `option` is who named it.
 */
must_check int command_output_judge(const struct context *ctx, const char *option,
				    const char *file, char *ret_path, size_t size,
				    struct stat *ret_st, struct error *err);
