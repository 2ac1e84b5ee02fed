/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Packs into a gzip file as a sink; the head names neither a file nor a time, so that the
 * same bytes give the same file. The second of the two rooms that include zlib.
 */

#include "base/error.h"
#include "worker/sink.h"

struct deflate {
	struct sink sink;
	void *stream; /* z_stream */
	unsigned char *buffer;
};

must_check int deflate_begin(struct deflate *state, struct sink *next, struct error *err);
must_check int deflate_end(struct deflate *state, struct error *err);
void deflate_done(struct deflate *state);
