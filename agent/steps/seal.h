/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Takes out of a guest what an image must not hold: tokens, and what makes it this one
 * machine in the license server's eyes.
 */

#include "base/channel.h"
#include "base/root.h"
#include "model/license/trace.h"

struct seal {
	const struct root *root;
	const struct channel *channel; /* to a worker, for what is packed */
	const char *folder;            /* the daemon's token folder */
	const char *token_file;        /* goes, too; "": there is none */
	struct trace trace;            /* of the tokens that are known */
	/* Told of each `bytes` that were searched; its failure ends the search. */
	int (*each)(void *context, uint64_t bytes, struct error *err);
	void *context;
};

/*
 * Learns of every token that is installed, kept or named, and of those that an earlier
 * seal has learnt: what is learnt stays in PATHS_SEAL until seal_end(), so that a seal
 * that comes after one which failed searches for as much as that one.
 */
must_check int seal_learn(struct seal *seal, struct error *err);

#define SEAL_FOUND_MAX 16
#define SEAL_PATH_MAX 1024 /* a longer path is "" */
struct seal_found {
	size_t count; /* all of them; the first SEAL_FOUND_MAX have their path here */
	char paths[SEAL_FOUND_MAX][SEAL_PATH_MAX];
	size_t unread; /* could not be searched to their end; this is the first */
	char first_unread[SEAL_PATH_MAX];
};

/*
 * The files that hold a token, see model/license/trace.h, also in gzip files and
 * journals, or that have NVIDIA's name of one. Searched are the folders in which people
 * and services leave files, as far as they lie on disks; links are not followed. Not
 * those that seal_tokens() removes, and not the package managers' own.
 */
must_check int seal_search(const struct seal *seal, struct seal_found *ret_found,
			   struct error *err);

/* Of one open file: no token, one, none in what could be read, or it is a gzip file. A
 * program has none. */
enum seal_content { SEAL_CLEAN, SEAL_TOKEN, SEAL_UNREAD, SEAL_PACKED };
must_check int seal_look(const struct seal *seal, int fd, enum seal_content *ret_content,
			 struct error *err);

/* Of gzip files, at most SEAL_PACKED_MAX: a worker unpacks them. */
#define SEAL_PACKED_MAX 32
must_check int seal_look_packed(const struct seal *seal, const int *fds, size_t count,
				enum seal_content *ret_contents, struct error *err);

/* The same of a journal of systemd. */
must_check int seal_journal_look(const struct seal *seal, int fd,
				 enum seal_content *ret_content, struct error *err);

/* Whether the file is removed by seal_tokens(). */
bool seal_removes(const struct seal *seal, const char *path);

/* Every token: the installed ones, the kept ones, `token_file`. What is no token stays in
 * the daemon's folder. */
must_check int seal_tokens(const struct seal *seal, bool *ret_changed, struct error *err);

/* Empties a folder, which stays. Not there: nothing changes. */
must_check int seal_empty(const struct root *root, const char *path, bool *ret_changed,
			  struct error *err);

/* The last act: what was learnt of the tokens goes, and all is on the disk, of which a
 * snapshot is taken perhaps at once. */
must_check int seal_end(const struct root *root, struct error *err);
