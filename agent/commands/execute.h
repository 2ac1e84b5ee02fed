/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One command from its beginning to its end: with root's rights and the lock where it
 * needs them, and what is owed to others before and after the lock is let go.
 */

#include "base/json.h"
#include "commands/request.h"

struct agent;

struct command_call {
	const char *name; /* of the command: what errors before its steps are called */
	int (*run)(struct agent *agent, const struct request *request,
		   struct json **ret_report, struct error *err);
	bool needs_root;  /* ERROR_PERMISSION without uid 0 */
	bool locks;       /* one instance at a time */
	bool by_timer;    /* tried again by itself: see last_run_say_final() */
	bool reads_again; /* where the repository disagrees with itself */
	int cancel_fd; /* once it can be read (-1: never), whatever is waited for ends */
};

/*
 * Opens an agent, runs the command with it and closes it. The report, which is the
 * caller's to free, may be set on failure, too. `ret_step` is what failed, static.
 *
 * Where another package manager is at work the lock is let go, that one is waited for, up
 * to ten minutes in all, and the command begins anew: it goes on where it was. So it does
 * where the repository was read while it was changed, http.retries times at most. What
 * disagrees in the same way twice is ERROR_INTEGRITY, in other ways ERROR_NETWORK.
 */
must_check int command_execute(const struct command_call *call,
			       const struct request *request, struct json **ret_report,
			       const char **ret_step, struct error *err);
