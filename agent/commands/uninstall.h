/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `uninstall`: the guest as it was before `install` and `configure`.
 */

#include "core/pipeline.h"

/*
 * Removes the driver that the state names as ours, by its own uninstaller or the package
 * manager, and what the agent itself has written; a gridd.conf that was there before
 * comes back. What others installed stays, and so does the agent's configuration. Cut
 * off, the next one goes on.
 */
must_check int command_uninstall(struct agent *agent, struct pipeline_report *ret_report,
				 struct error *err);
