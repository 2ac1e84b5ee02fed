/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/inflate.h"

#include <errno.h>
#include <inttypes.h>
#define ZLIB_CONST
#include <zlib.h>

#define BUFFER_SIZE (256u << 10)
#define PIECE_MAX (1u << 30) /* zlib counts in 32 bits */
#define GZIP 16              /* added to the window's bits */

static int hand_on(struct inflate *state, const void *data, size_t size,
		   struct error *err)
{
	if (size > state->size - state->done)
		return error_set(err, ERROR_INTEGRITY,
				 "unpacks to more than the %" PRIu64 " bytes promised",
				 state->size);

	state->crc = (uint32_t)crc32_z(state->crc, data, size);
	state->done += size;
	return size == 0 ? 0 : sink_write(state->sink.next, data, size, err);
}

static int write_stored(struct sink *sink, const void *data, size_t size,
			struct error *err)
{
	return hand_on((struct inflate *)(void *)sink, data, size, err);
}

static int inflate_piece(struct inflate *state, struct error *err)
{
	z_stream *stream = state->stream;

	do {
		int result;

		if (state->ended)
			return error_set(err, ERROR_INTEGRITY,
					 "bytes follow the end of its data");

		stream->next_out = state->buffer;
		stream->avail_out = BUFFER_SIZE;
		result = inflate(stream, Z_NO_FLUSH);
		if (result == Z_MEM_ERROR)
			return error_set_errno(err, ENOMEM, "unpacking");
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			return error_set(err, ERROR_INTEGRITY,
					 "its deflated data is damaged (%s)",
					 stream->msg ? stream->msg : "no reason given");

		state->ended = result == Z_STREAM_END;
		if (hand_on(state, state->buffer, BUFFER_SIZE - stream->avail_out, err) <
		    0)
			return -1;
	} while (stream->avail_in > 0 || (stream->avail_out == 0 && !state->ended));

	return 0;
}

static int write_deflated(struct sink *sink, const void *data, size_t size,
			  struct error *err)
{
	struct inflate *state = (struct inflate *)(void *)sink;
	z_stream *stream = state->stream;
	const unsigned char *next = data;

	while (size > 0) {
		size_t piece = size < PIECE_MAX ? size : PIECE_MAX;

		stream->next_in = next;
		stream->avail_in = (uInt)piece;
		if (inflate_piece(state, err) < 0)
			return -1;
		next += piece;
		size -= piece;
	}
	return 0;
}

/* `bits`: the window's size and which head zlib is to expect, in its own words. */
static int begin_deflated(struct inflate *state, int bits, struct error *err)
{
	state->buffer = malloc(BUFFER_SIZE);
	state->stream = calloc(1, sizeof(z_stream));
	if (!state->buffer || !state->stream ||
	    inflateInit2(state->stream, bits) != Z_OK) {
		free(state->buffer);
		free(state->stream);
		*state = (struct inflate){ 0 };
		return error_set_errno(err, ENOMEM, "unpacking");
	}
	return 0;
}

int inflate_begin(struct inflate *state, bool deflated, uint64_t size, struct sink *next,
		  struct error *err)
{
	*state = (struct inflate){
		.sink = { .write = deflated ? write_deflated : write_stored,
			  .next = next },
		.size = size,
		.crc = (uint32_t)crc32_z(0, NULL, 0),
	};
	/* Negative bits: bare deflate, without zlib's or gzip's head. */
	return deflated ? begin_deflated(state, -MAX_WBITS, err) : 0;
}

int inflate_begin_gzip(struct inflate *state, uint64_t limit, struct sink *next,
		       struct error *err)
{
	*state = (struct inflate){
		.sink = { .write = write_deflated, .next = next },
		.size = limit,
	};
	return begin_deflated(state, MAX_WBITS + GZIP, err);
}

int inflate_end_gzip(const struct inflate *state, struct error *err)
{
	if (!state->ended)
		return error_set(err, ERROR_INTEGRITY, "the file ends too early");
	return 0;
}

int inflate_end(struct inflate *state, uint32_t crc, struct error *err)
{
	if (state->stream && !state->ended)
		return error_set(err, ERROR_INTEGRITY,
				 "its data ends before the deflate stream does");
	if (state->done != state->size)
		return error_set(err, ERROR_INTEGRITY,
				 "unpacks to %" PRIu64 " bytes, not to the %" PRIu64
				 " promised",
				 state->done, state->size);
	if (state->crc != crc)
		return error_set(err, ERROR_INTEGRITY,
				 "its CRC-32 is %08" PRIx32 ", not %08" PRIx32,
				 state->crc, crc);
	return 0;
}

void inflate_done(struct inflate *state)
{
	if (state->stream)
		(void)inflateEnd(state->stream);
	free(state->stream);
	free(state->buffer);
	*state = (struct inflate){ 0 };
}
