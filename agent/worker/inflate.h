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

#define INFLATE_SIZE_UNKNOWN UINT64_MAX
#define INFLATE_WINDOW 32768 /* so far back do deflated data refer */

/* A place between two blocks of the data, from where another process can go on. */
struct inflate_point {
	uint64_t in, out; /* bytes before it, packed and unpacked */
	unsigned bits;    /* of the last packed byte that belong to what follows... */
	unsigned value;   /* ...and these */
};

struct inflate {
	struct sink sink;
	void *stream;  /* z_stream; NULL for stored bytes */
	uint64_t size; /* promised; one byte more ends the work at once */
	uint64_t done; /* unpacked, those still in the buffer included */
	uint64_t used; /* packed bytes that became `done` */
	uint32_t crc;
	bool no_crc; /* who has a better sum of the content may set it after the begin */
	bool ended;  /* the deflate stream said so */
	struct inflate_point
		point;      /* the latest point to go on from; made every few MiB */
	unsigned char last; /* packed byte */
	size_t held;        /* in the buffer */
	unsigned char *buffer;
};

/*
 * `size`: what the directory promises, or INFLATE_SIZE_UNKNOWN. `next` may be NULL: then
 * the content is only measured. Errors are ERROR_INTEGRITY, without the name.
 */
must_check int inflate_begin(struct inflate *state, bool deflated, uint64_t size,
			     struct sink *next, struct error *err);

/*
 * Goes on, after inflate_begin(), at a point that an earlier process noted; `window` are
 * the last bytes before it, at most INFLATE_WINDOW. There is no CRC-32 then.
 */
must_check int inflate_resume(struct inflate *state, const struct inflate_point *point,
			      const void *window, size_t size, struct error *err);

/*
 * Takes bytes of deflated data up to their end, which may come before the last one of
 * these: `ret_used` of them belonged to it.
 */
must_check int inflate_take(struct inflate *state, const void *data, size_t size,
			    size_t *ret_used, struct error *err);

/* Hands on what the buffer still holds. */
must_check int inflate_flush(struct inflate *state, struct error *err);

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
