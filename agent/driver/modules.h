/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Puts the chosen driver in place: its tree, its modules for every target kernel, its
 * user space; with the record in the state that makes a cut-off update end well.
 */

#include "commands/agent.h"

/* ERROR_SECURE_BOOT where modules that are compiled here would not be loaded. */
must_check int modules_check_secure_boot(struct agent *agent, struct error *err);
#include "model/outcome.h"

/* agent->package_path (a .run) to agent->tree. */
must_check int modules_unpack(struct agent *agent, struct error *err);

/* Compiles for every target that lacks modules; installs what that needs, if it may. */
must_check int modules_build(struct agent *agent, struct outcome *outcome,
			     struct error *err);

/* User space where it is another one, modules, load, unit. Touches nothing that fits. */
must_check int modules_install(struct agent *agent, struct outcome *outcome,
			       struct error *err);

/* After a failure: the unpacked driver is a gigabyte, and the next run unpacks it anew.
 */
void modules_discard(struct agent *agent);
