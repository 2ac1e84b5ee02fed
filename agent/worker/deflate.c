/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/deflate.h"

#include <errno.h>
#define ZLIB_CONST
#include <zlib.h>

#define BUFFER_SIZE (256u << 10)
#define PIECE_MAX (1u << 30) /* zlib counts in 32 bits */
#define GZIP 16              /* added to the window's bits */
#define LEVEL 6
#define MEMORY_LEVEL 8

static int pack(struct deflate *state, int flush, struct error *err)
{
	z_stream *stream = state->stream;

	do {
		stream->next_out = state->buffer;
		stream->avail_out = BUFFER_SIZE;
		if (deflate(stream, flush) == Z_STREAM_ERROR)
			return error_set(err, ERROR_INTERNAL, "packing");
		if (sink_write(state->sink.next, state->buffer,
			       BUFFER_SIZE - stream->avail_out, err) < 0)
			return -1;
	} while (stream->avail_out == 0);

	return 0;
}

static int write_packed(struct sink *sink, const void *data, size_t size,
			struct error *err)
{
	struct deflate *state = (struct deflate *)(void *)sink;
	z_stream *stream = state->stream;
	const unsigned char *next = data;

	while (size > 0) {
		size_t piece = size < PIECE_MAX ? size : PIECE_MAX;

		stream->next_in = next;
		stream->avail_in = (uInt)piece;
		if (pack(state, Z_NO_FLUSH, err) < 0)
			return -1;
		next += piece;
		size -= piece;
	}
	return 0;
}

int deflate_begin(struct deflate *state, struct sink *next, struct error *err)
{
	*state = (struct deflate){
		.sink = { .write = write_packed, .next = next },
		.buffer = malloc(BUFFER_SIZE),
		.stream = calloc(1, sizeof(z_stream)),
	};
	if (!state->buffer || !state->stream ||
	    deflateInit2(state->stream, LEVEL, Z_DEFLATED, MAX_WBITS + GZIP, MEMORY_LEVEL,
			 Z_DEFAULT_STRATEGY) != Z_OK) {
		free(state->buffer);
		free(state->stream);
		*state = (struct deflate){ 0 };
		return error_set_errno(err, ENOMEM, "packing");
	}
	return 0;
}

int deflate_end(struct deflate *state, struct error *err)
{
	z_stream *stream = state->stream;

	stream->next_in = NULL;
	stream->avail_in = 0;
	return pack(state, Z_FINISH, err);
}

void deflate_done(struct deflate *state)
{
	if (state->stream)
		(void)deflateEnd(state->stream);
	free(state->stream);
	free(state->buffer);
	*state = (struct deflate){ 0 };
}
