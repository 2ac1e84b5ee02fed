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

/* One call of a command. */
struct agent_call {
	const char *name; /* of the command: what errors before its steps are called */
	int (*run)(struct agent *agent, const struct request *request,
		   struct json **ret_report, struct error *err);
	bool needs_root; /* ERROR_PERMISSION without uid 0 */
	bool locks;      /* one instance at a time */
	bool by_timer;   /* tried again by itself: see last_run_say_final() */
	int cancel_fd; /* once it can be read (-1: never), whatever is waited for ends */
};

/*
 * Opens an agent, runs the command with it and closes it. The report, which is the
 * caller's to free, may be set on failure, too. `ret_step` is what failed, static.
 */
must_check int agent_execute(const struct agent_call *call, const struct request *request,
			     struct json **ret_report, const char **ret_step,
			     struct error *err);

/* An agent with nothing open: agent_close() is fine from here on. It may not be moved. */
void agent_init(struct agent *ret_agent, const struct options *options, int cancel_fd);

/*
 * Opens the roots, finds the worker, reads the configuration files. The state is read
 * when the lock is held: until then another one may write it.
 */
must_check int agent_open(struct agent *agent, struct error *err);
void agent_close(struct agent *agent);
