/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernel modules that somebody has built already: the archives that the repository's
 * index lists. What fits a kernel beyond doubt needs neither compiler nor headers.
 */

#include "commands/agent.h"

/*
 * Whether the index lists an archive for this kernel, as far as can be told before it is
 * fetched: what needs a compiler is then not needed yet.
 */
bool modules_prebuilt_listed(const struct agent *agent, const char *release);

/*
 * Looks for the modules of agent->targets[index]; fetches, unpacks and checks them, and
 * leaves them in agent->built[index] as a build does. Else `ret_taken` is false and
 * `ret_why` says why, "" where none was to be looked for; with driver.prebuilt "only"
 * that is ERROR_PREREQUISITES.
 */
must_check int modules_prebuilt_take(struct agent *agent, size_t index, bool *ret_taken,
				     char *ret_why, size_t size, struct error *err);
