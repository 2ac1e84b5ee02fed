/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the net worker says to the fetch worker on the pipe between them: frames, each a
 * head of two numbers and the bytes behind it. The two programs are of one build, and a
 * net worker may have been taken over: what comes out of the pipe is as foreign as the
 * network.
 *
 * Data are the bytes that a server gave. A restart says that the data before did not
 * belong to those that follow. A text is a line of JSON as base/channel.h has them:
 * progress, and at the end of each question a result or an error.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"

enum wire_kind { WIRE_DATA = 1, WIRE_RESTART, WIRE_TEXT };

#define WIRE_TEXT_MAX 32768u /* bytes */

must_check int wire_send(int fd, enum wire_kind kind, const void *data, size_t size,
			 struct error *err);

/* A text {`kind`: `value`}; takes `value`. */
must_check int wire_say(int fd, const char *kind, struct json *value, struct error *err);

/* The side that listens. */
struct wire {
	int fd;
	char *buffer;
	size_t start, end;   /* what of it was not yet taken */
	uint32_t kind, left; /* of the frame that is being read */
};

must_check int wire_begin(struct wire *wire, int fd, struct error *err);
void wire_done(struct wire *wire);

/* Borrowed until the next call. */
struct wire_piece {
	enum wire_kind kind;
	const char *data;
	size_t size; /* of data any part of a frame, of a text all of it */
};

/*
 * Waits for the next piece. ERROR_INTERNAL for what is no frame; with errnum EPIPE when
 * the net worker is gone.
 */
must_check int wire_next(struct wire *wire, struct wire_piece *ret_piece,
			 struct error *err);
