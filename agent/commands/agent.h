/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Everything one run of the program knows. Only commands/ sees this struct: what lies
 * below gets the values that it reads, and returns what it makes.
 */

#include "commands/request.h"
#include "core/context.h"
#include "core/guest.h"
#include "core/lease.h"
#include "core/state.h"
#include "driver/work.h"
#include "model/repository/repository.h"
#include "steps/fetch/metadata.h"

struct agent {
	struct tools tools;
	struct context context; /* where, and by what means */
	struct guest guest;     /* what was seen */
	struct work work;       /* the driver that is brought */
	struct lease lease;     /* the license that is brought */
	struct metadata metadata;
	struct repository repository;
	struct state state;
};

/* An agent with nothing open: agent_close() is fine from here on. It may not be moved. */
void agent_init(struct agent *ret_agent, const struct options *options, int cancel_fd);

/*
 * Opens the roots, finds the worker, reads the configuration files. The state is read
 * when the lock is held: until then another one may write it.
 */
must_check int agent_open(struct agent *agent, struct error *err);
void agent_close(struct agent *agent);

/*
 * The first step of seal and uninstall, before anything goes: the agent's own units stop,
 * and what they would bring back stays away (steps/sealed.h).
 */
must_check int agent_stop_units(const struct agent *agent, struct outcome *outcome,
				struct error *err);
