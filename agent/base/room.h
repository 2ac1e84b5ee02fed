/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a file system has room, asked before work that would fill it.
 */

#include <stdint.h>

#include "base/error.h"
#include "base/root.h"

/*
 * `path` need not be there: its nearest folder that is counts. ERROR_PREREQUISITES with
 * what is free, what is needed and the hint.
 */
must_check int room_check(const struct root *root, const char *path, uint64_t bytes,
			  struct error *err);
