/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a file system has room, asked before work that would fill it, and after a
 * program that has failed.
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

/*
 * For a program that has failed with `err`: where the file system of one of `folders`
 * (NULL ends them) is full now, this is why, whatever the program says, and in which
 * language: ERROR_PREREQUISITES with the hint. -1, so that it can be returned.
 */
int room_explain(const struct root *root, const char *const *folders, struct error *err);
