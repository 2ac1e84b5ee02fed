/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A zip member's data, or a gzip file, as a sink: deflated or stored bytes in, the
 * content on to the next sink, with size and CRC-32 checked.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "worker/sink.h"

struct inflate {
	struct sink sink;
	void *stream;  /* z_stream; NULL for stored bytes */
	uint64_t size; /* promised; one byte more ends the work at once */
	uint64_t done; /* handed on */
	uint32_t crc;
	bool ended; /* the deflate stream said so */
	unsigned char *buffer;
};

/* `size`: what the directory promises. Errors are ERROR_INTEGRITY, without the name. */
must_check int inflate_begin(struct inflate *state, bool deflated, uint64_t size,
			     struct sink *next, struct error *err);

/* After the last byte: the stream ended exactly there, with this size and this CRC. */
must_check int inflate_end(struct inflate *state, uint32_t crc, struct error *err);

/*
 * A gzip file that unpacks to at most `limit` bytes: its own trailer has size and CRC.
 * Something behind it, a second gzip file too, is ERROR_INTEGRITY.
 */
must_check int inflate_begin_gzip(struct inflate *state, uint64_t limit,
				  struct sink *next, struct error *err);
must_check int inflate_end_gzip(const struct inflate *state, struct error *err);

void inflate_done(struct inflate *state);
