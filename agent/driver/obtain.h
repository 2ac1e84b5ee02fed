/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The steps that bring the driver: match, fetch, unpack, build, install.
 *
 * An update is finished or undone, whatever happens: before the package's installer
 * removes the old driver, state.json names the new one and its package lies in the state
 * folder; only when nvidia-smi has answered does the new one become `driver`.
 */

#include "commands/agent.h"
#include "model/outcome.h"

/* Rule and package, or what a cut-off run left to finish. */
must_check int obtain_match(struct agent *agent, struct outcome *outcome,
			    struct error *err);
must_check int obtain_fetch(struct agent *agent, struct outcome *outcome,
			    struct error *err);
must_check int obtain_unpack(struct agent *agent, struct outcome *outcome,
			     struct error *err);
must_check int obtain_build(struct agent *agent, struct outcome *outcome,
			    struct error *err);
must_check int obtain_install(struct agent *agent, struct outcome *outcome,
			      struct error *err);

/* What fetch will be asked for; borrows from the agent. */
must_check int obtain_fetch_input(struct agent *agent, char *url, size_t size,
				  struct fetch_input *ret_input, struct error *err);
