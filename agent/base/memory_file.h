/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Bytes as a file that lies nowhere: for a worker that must not read the original, and
 * for whoever must get exactly what was judged.
 */

#include <stddef.h>

#include "base/error.h"

/*
 * A descriptor at the beginning of a file that nobody can change any more, or -1. `name`
 * is what /proc shows of it.
 */
must_check int memory_file(const char *name, const void *data, size_t size,
			   struct error *err);
