/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Makes the vgpu-index.json of a repository out of its files.
 */

#include "commands/agent.h"

/*
 * `names`: paths of the caller's; the index names them without their folders, sorted.
 * `previous`: the index that this one follows, or NULL. The same files make the same
 * index but for "created", which SOURCE_DATE_EPOCH sets. What is written is proved to be
 * read by index_from_json() without a warning. ERROR_USAGE for a file that is not there.
 */
must_check int command_index(struct agent *agent, const char *const *names, size_t count,
			     const char *previous, struct json **ret_index,
			     struct error *err);
