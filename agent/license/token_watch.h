/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The change of one client configuration token for another: the monitor notices it, the
 * root unit carries it out, and takes it back where the new one does not license.
 */

#include <sys/stat.h>

#include "commands/agent.h"

/* What the monitor knows of tokens; all zero: nothing yet. */
struct token_watch {
	char *metadata, *asked; /* texts; wiped by token_watch_done() */
	size_t metadata_size, asked_size;
	bool known;      /* `asked` holds what was there at the first look */
	bool file_known; /* so does `file`, of a token_file that may not be read */
	struct stat file;
	int64_t expires; /* of the installed token, 0: not known */
	unsigned stage;  /* event_token_stage() that was told */
};

void token_watch_done(struct token_watch *rotation);

/*
 * Looks for a token that is not the installed one, in license.token_file and, with
 * `metadata`, in the metadata service, and wakes the root unit for it, once for each
 * token. Tells of one that is close to its expiry. -1 only when interrupted.
 */
must_check int token_watch_look(struct token_watch *rotation, struct agent *agent,
				bool metadata, struct error *err);

/*
 * Of `run`, before the token `fd` replaces another one: keeps that, also for a run after
 * one that was killed, where the guest is licensed with it.
 */
must_check int token_trial_begin(struct agent *agent, int fd, struct error *err);

/* Whether `run` has tried this token, without success, and a better one is installed. */
bool token_trial_refuses(const struct agent *agent, int fd);

/*
 * After `err`, the end of a wait for the license in vain: puts back what
 * token_trial_begin() kept, restarts the daemon and waits for its license. Says so in
 * `err`.
 */
void token_trial_undo(struct agent *agent, struct error *err);
