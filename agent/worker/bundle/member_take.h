/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two ways to a bundle's member on a web server, each one pass from the socket to the
 * file: by ranges only what is needed, or the whole bundle, read as it passes by.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/driver/member.h"
#include "worker/digest.h"
#include "worker/inflate.h"
#include "worker/remote.h"

/* What an index says of the member. */
struct member_entry {
	const char *name; /* NULL: there is no index */
	const char *sha256;
	uint64_t offset, compressed_size, size;
	uint16_t method;
};

struct member_take {
	/* the wish */
	struct remote *remote;
	const char *url;
	int output, note;    /* note -1: nothing is kept for another process */
	const char *sha256;  /* of the bundle; "": not known */
	uint64_t size;       /* of the bundle; 0: not known */
	uint64_t max_size;   /* of the bundle */
	uint64_t max_member; /* unpacked */
	struct member_wish wish;
	struct member_entry entry;

	/* what came of it */
	struct member member;
	char found[DIGEST_TEXT_SIZE]; /* the member's SHA-256 */
	uint64_t found_size;
	uint64_t received; /* of all tries */
	bool unverified;   /* some answer came not over https from a verified peer */
};

/*
 * By ranges. A server that has none is ERROR_NETWORK with errnum ERANGE; ERROR_INTEGRITY
 * where what came is not the promised member: then the output is empty.
 */
must_check int member_part_take(struct member_take *take, struct error *err);

/*
 * The whole bundle. ERROR_INTEGRITY with errnum BUNDLE_STREAM_NOT where it cannot be read
 * so.
 */
must_check int member_whole_take(struct member_take *take, struct error *err);

/*
 * Where another process can go on: the member's place in the bundle, so that it is not
 * another one, the size of its local header, and a point that the output has reached.
 */
struct member_note {
	uint64_t offset, compressed_size;
	uint64_t header;
	struct inflate_point point;
};

/*
 * Writes over the earlier note. A failure is no error: without a note the next process
 * begins the member anew.
 */
void member_note_write(int fd, const struct member_note *note);

/* False where the descriptor holds no note, or one whose numbers cannot be. */
bool member_note_read(int fd, struct member_note *ret_note);
