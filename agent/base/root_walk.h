/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of base/root.h that goes a path component by component, for kernels that have
 * no openat2(2) and for sandboxes that refuse it.
 */

#include "base/root.h"

/* A descriptor, or -1 and errno, as the system call. */
int root_walk(const struct root *root, const char *path, int flags, mode_t mode);
