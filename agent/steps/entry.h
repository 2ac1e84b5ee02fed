/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One file of a repository, as an entry of vgpu-index.json.
 */

#include <stdbool.h>

#include "base/channel.h"
#include "base/error.h"
#include "base/json.h"

/*
 * Reads all of `fd`, through the worker. `name`: the file's own, without folders.
 * `ret_modules`: it belongs into "modules", not into "files". ERROR_USAGE for a file that
 * no guest would take from a repository, ERROR_INTEGRITY for one that is damaged or
 * is not what its name says.
 */
must_check int entry_read(const struct channel *channel, int fd, const char *name,
			  struct json **ret_entry, bool *ret_modules, struct error *err);
