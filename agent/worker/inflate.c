/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/inflate.h"

#include <errno.h>
#include <inttypes.h>
#define ZLIB_CONST
#include <zlib.h>

#define BUFFER_SIZE (1u << 20) /* what a file takes in one piece: no copy in between */
#define PIECE_MAX (1u << 30)   /* zlib counts in 32 bits */
#define GZIP 16                /* added to the window's bits */
#define POINT_EVERY (8u << 20)

/* What zlib says of the place where it stands. */
#define TYPE_BITS 7
#define TYPE_LAST_BLOCK 64
#define TYPE_BETWEEN_BLOCKS 128

static int check_size(const struct inflate *state, size_t more, struct error *err)
{
	if (more <= state->size - state->done)
		return 0;
	return error_set(err, ERROR_INTEGRITY,
			 "unpacks to more than the %" PRIu64 " bytes promised",
			 state->size);
}

static int hand_on(struct inflate *state, const void *data, size_t size,
		   struct error *err)
{
	if (!state->no_crc)
		state->crc = (uint32_t)crc32_z(state->crc, data, size);
	return size == 0 || !state->sink.next
		       ? 0
		       : sink_write(state->sink.next, data, size, err);
}

static int write_stored(struct sink *sink, const void *data, size_t size,
			struct error *err)
{
	struct inflate *state = (struct inflate *)(void *)sink;

	if (check_size(state, size, err) < 0 || hand_on(state, data, size, err) < 0)
		return -1;
	state->done += size;
	state->used += size;
	state->point = (struct inflate_point){ .in = state->used, .out = state->done };
	return 0;
}

/* Only where zlib stands between two blocks, and a new point is wanted. */
static void note_point(struct inflate *state)
{
	const z_stream *stream = state->stream;
	unsigned type = (unsigned)stream->data_type;

	if (!(type & TYPE_BETWEEN_BLOCKS) || type & TYPE_LAST_BLOCK || state->ended)
		return;
	state->point = (struct inflate_point){
		.in = state->used,
		.out = state->done,
		.bits = type & TYPE_BITS,
		.value = (unsigned)state->last >> (8 - (type & TYPE_BITS)),
	};
}

/* Until the input is used up, the buffer is full or the data end. */
static int fill_buffer(struct inflate *state, struct error *err)
{
	z_stream *stream = state->stream;
	int result;

	do {
		bool wanted = state->done - state->point.out >= POINT_EVERY;
		uInt in = stream->avail_in, out = stream->avail_out;

		result = inflate(stream, wanted ? Z_BLOCK : Z_NO_FLUSH);
		if (result == Z_MEM_ERROR)
			return error_set_errno(err, ENOMEM, "unpacking");
		if (result != Z_OK && result != Z_STREAM_END && result != Z_BUF_ERROR)
			return error_set(err, ERROR_INTEGRITY,
					 "its deflated data is damaged (%s)",
					 stream->msg ? stream->msg : "no reason given");

		if (check_size(state, out - stream->avail_out, err) < 0)
			return -1;
		state->done += out - stream->avail_out;
		state->held += out - stream->avail_out;
		state->used += in - stream->avail_in;
		if (in > stream->avail_in)
			state->last = stream->next_in[-1];
		state->ended = result == Z_STREAM_END;
		if (wanted)
			note_point(state);
	} while (result == Z_OK && stream->avail_in > 0 && stream->avail_out > 0);

	return 0;
}

int inflate_flush(struct inflate *state, struct error *err)
{
	size_t held = state->held;

	state->held = 0;
	return held ? hand_on(state, state->buffer, held, err) : 0;
}

/* At most PIECE_MAX bytes. */
static int take_piece(struct inflate *state, const void *data, size_t size,
		      struct error *err)
{
	z_stream *stream = state->stream;

	stream->next_in = data;
	stream->avail_in = (uInt)size;
	do {
		stream->next_out = state->buffer + state->held;
		stream->avail_out = BUFFER_SIZE - (uInt)state->held;
		if (fill_buffer(state, err) < 0)
			return -1;
		if ((stream->avail_out == 0 || state->ended) &&
		    inflate_flush(state, err) < 0)
			return -1;
	} while (!state->ended && (stream->avail_in > 0 || stream->avail_out == 0));

	return 0;
}

int inflate_take(struct inflate *state, const void *data, size_t size, size_t *ret_used,
		 struct error *err)
{
	const unsigned char *next = data;
	uint64_t before = state->used;

	while (size > 0 && !state->ended) {
		size_t piece = size < PIECE_MAX ? size : PIECE_MAX;

		if (take_piece(state, next, piece, err) < 0)
			return -1;
		next += piece;
		size -= piece;
	}
	*ret_used = (size_t)(state->used - before);
	return 0;
}

static int write_deflated(struct sink *sink, const void *data, size_t size,
			  struct error *err)
{
	size_t used;

	if (inflate_take((struct inflate *)(void *)sink, data, size, &used, err) < 0)
		return -1;
	if (used < size)
		return error_set(err, ERROR_INTEGRITY,
				 "bytes follow the end of its data");
	return 0;
}

static int restart(struct sink *sink, struct error *err)
{
	struct inflate *state = (struct inflate *)(void *)sink;

	state->done = state->used = 0;
	state->held = 0;
	state->ended = false;
	state->crc = (uint32_t)crc32_z(0, NULL, 0);
	state->point = (struct inflate_point){ .in = 0 };
	if (state->stream && inflateReset(state->stream) != Z_OK)
		return error_set(err, ERROR_INTERNAL, "unpacking from the start");
	return sink->next ? sink_restart(sink->next, err) : 0;
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
			  .restart = restart,
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
		.sink = { .write = write_deflated, .restart = restart, .next = next },
		.size = limit,
		.no_crc = true, /* zlib checks gzip's own */
	};
	return begin_deflated(state, MAX_WBITS + GZIP, err);
}

int inflate_end_gzip(const struct inflate *state, struct error *err)
{
	if (!state->ended)
		return error_set(err, ERROR_INTEGRITY, "the file ends too early");
	return 0;
}

int inflate_resume(struct inflate *state, const struct inflate_point *point,
		   const void *window, size_t size, struct error *err)
{
	if (state->stream &&
	    ((point->bits &&
	      inflatePrime(state->stream, (int)point->bits, (int)point->value) != Z_OK) ||
	     inflateSetDictionary(state->stream, window, (uInt)size) != Z_OK))
		return error_set(err, ERROR_INTEGRITY, "cannot be continued there");
	state->point = *point;
	state->used = point->in;
	state->done = point->out;
	state->no_crc = true;
	return 0;
}

int inflate_end(struct inflate *state, uint32_t crc, struct error *err)
{
	if (state->stream && !state->ended)
		return error_set(err, ERROR_INTEGRITY,
				 "its data ends before the deflate stream does");
	if (state->size != INFLATE_SIZE_UNKNOWN && state->done != state->size)
		return error_set(err, ERROR_INTEGRITY,
				 "unpacks to %" PRIu64 " bytes, not to the %" PRIu64
				 " promised",
				 state->done, state->size);
	if (!state->no_crc && state->crc != crc)
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
