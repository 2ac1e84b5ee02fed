/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Takes out of a guest what an image must not hold: tokens, and what makes it this one
 * machine in the license server's eyes.
 */

#include "base/root.h"

/* Pieces of the tokens that are known here, to find copies by. */
#define SEAL_PIECE_SIZE 64
#define SEAL_PIECES_MAX 32
struct seal_secrets {
	size_t count;
	struct {
		size_t size;
		char bytes[SEAL_PIECE_SIZE];
	} pieces[SEAL_PIECES_MAX];
};

/*
 * Of every token that is installed or kept, and of `token_file` ("": none). Call
 * seal_forget() at the end.
 */
must_check int seal_learn(const struct root *root, const char *token_file,
			  struct seal_secrets *ret_secrets, struct error *err);
void seal_forget(struct seal_secrets *secrets);

#define SEAL_FOUND_MAX 16
struct seal_found {
	size_t count; /* all of them; the first SEAL_FOUND_MAX have their path here */
	char paths[SEAL_FOUND_MAX][512];
};

/*
 * The files below /etc, /var, /root, /home, /srv, /opt and /tmp that hold a piece, or
 * metadata of ours with a token in it. Not those that seal_tokens() removes, not the
 * package managers' own; links are not followed.
 */
must_check int seal_search(const struct root *root, const struct seal_secrets *secrets,
			   const char *token_file, struct seal_found *ret_found,
			   struct error *err);

/* Every token: the installed ones, the kept ones, `token_file`. */
must_check int seal_tokens(const struct root *root, const char *token_file,
			   bool *ret_changed, struct error *err);

/* Empties a folder, which stays. Not there: nothing changes. */
must_check int seal_empty(const struct root *root, const char *path, bool *ret_changed,
			  struct error *err);

/* All of it is on the disk, of which a snapshot is taken perhaps at once. */
must_check int seal_sync(const struct root *root, struct error *err);
