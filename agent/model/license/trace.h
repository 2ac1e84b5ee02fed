/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Finds tokens among any bytes: copies of known ones by pieces of them, others by their
 * form. Both as they are, folded into lines, and in base64, also of what holds them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/json.h"
#include "base/span.h"

#define TRACE_PIECE 32 /* bytes */
#define TRACE_PIECES_MAX 1024

/* What is known of tokens: hashes, from which no token comes back. */
struct trace {
	size_t count;
	uint64_t pieces[TRACE_PIECES_MAX];
	uint64_t
		filter[1024]; /* bits: a hash that is not in here is none of the pieces */
};

/*
 * Adds pieces of the token's second half: the beginning is the same of all tokens. A text
 * shorter than two pieces adds none, it would be found everywhere. What has no room is
 * left out: a few pieces of a token are enough.
 */
void trace_learn(struct trace *trace, struct span token);

/* The pieces as texts, for another process; NULL when memory is out. */
struct json *trace_print(const struct trace *trace);

/* Adds such pieces to what is known; what is none of them is passed over. */
void trace_read(struct trace *trace, const struct json *pieces);

#define TRACE_LEVELS 4 /* as it is, and what base64 of base64 of base64 holds */

struct trace_level {
	unsigned char window[TRACE_PIECE]; /* the last bytes, and their hash */
	uint64_t hash;
	uint64_t seen;
	unsigned part; /* of a token's three: 0, until a dot has ended the header */
	size_t length; /* of that part; 0: nothing here begins as it does */
	uint32_t bits; /* a group of base64 that is not yet whole */
	unsigned group;
	size_t line; /* unbroken characters; long ones may go on behind a fold */
	bool folded, escaped;
	char last[2];
};

struct trace_scan {
	const struct trace *trace; /* borrowed */
	bool inside; /* a text that may be a token's: else the next one is looked for */
	struct trace_level levels[TRACE_LEVELS];
};

/* At the beginning of each content. */
void trace_begin(struct trace_scan *ret_scan, const struct trace *trace);

/* Takes the next bytes of the content: true once a token was among them. */
bool trace_take(struct trace_scan *scan, struct span bytes);
