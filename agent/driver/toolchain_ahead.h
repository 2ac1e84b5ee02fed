/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a build needs of the package manager is installed while the driver is fetched and
 * unpacked. Both take long, and neither needs the other.
 */

#include "commands/agent.h"

/*
 * Starts it where a build is to come and something is missing for it that may be
 * installed. What cannot be started now is done by the build itself.
 */
void toolchain_ahead_begin(struct agent *agent);

/* Waits for it: its error is the build's. Nothing under way: 0. */
must_check int toolchain_ahead_end(struct agent *agent, struct error *err);
