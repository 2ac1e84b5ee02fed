/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The daemon. It watches and tells: status.json, the file `licensed`, the metrics file,
 * the journal. It changes nothing of the system, needs no privilege, and leaves a new
 * token to the root unit, which it wakes through a file.
 */

#include "commands/agent.h"

/*
 * Runs until a signal (then `err` is interrupted) or until it cannot go on. A license
 * that is lost or a driver that does not answer is no reason. ERROR_NO_GPU at once where
 * there is nothing to watch.
 */
must_check int command_monitor(struct agent *agent, struct error *err);
