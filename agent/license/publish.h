/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the rest of the guest may know of a run: whether it left the guest licensed.
 */

#include "commands/agent.h"

/*
 * After a `run` that came to an end, well or not: status.json, the file `licensed` and
 * the target, as they are now. A run that failed before it looked at the license looks
 * only where there was one. What cannot be told is a warning: the work counts.
 */
void publish_license(struct agent *agent);
