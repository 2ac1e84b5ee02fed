/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The command `build-modules`: a driver's kernel modules for one kernel, in one archive
 * for guests that then compile nothing. It changes nothing of the system and needs no
 * root: its work is done in a folder of its own.
 */

#include "commands/agent.h"
#include "core/pipeline.h"

/* `output` is a path of the caller's; the file is there whole or not at all. */
must_check int command_build_modules(struct agent *agent, const char *output,
				     struct pipeline_report *ret_report,
				     struct error *err);
