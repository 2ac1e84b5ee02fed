/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looks for a client configuration token that is another one than the installed: the
 * monitor notices it here, the root unit carries the change out (license/token_trial.h).
 */

#include <sys/stat.h>

#include "core/context.h"

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

void token_watch_done(struct token_watch *watch);

/*
 * Looks in license.token_file and, with `metadata`, in the metadata service, and wakes
 * the root unit for a token that is not the installed one, once for each. Tells of an
 * installed one that is close to its expiry. -1 only when interrupted.
 */
must_check int token_watch_look(struct token_watch *watch, const struct context *ctx,
				bool metadata, struct error *err);
