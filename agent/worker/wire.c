/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/wire.h"

#include <errno.h>
#include <string.h>
#include <sys/uio.h>

#define BUFFER_SIZE ((size_t)256 << 10) /* larger falls out of the processor's cache */

struct head {
	uint32_t kind, size;
};

/* writev(2) writes no more to what it points at than write(2) does. */
static struct iovec vector(const void *data, size_t size, size_t from)
{
	return (struct iovec){ (void *)((uintptr_t)data + from), size - from };
}

/* The rest of both, after `done` bytes; returns how many vectors that are. */
static int rest_of(const struct head *head, const void *data, size_t done,
		   struct iovec ret_rest[2])
{
	if (done >= sizeof(*head)) {
		ret_rest[0] = vector(data, head->size, done - sizeof(*head));
		return 1;
	}
	ret_rest[0] = vector(head, sizeof(*head), done);
	ret_rest[1] = vector(data, head->size, 0);
	return 2;
}

int wire_send(int fd, enum wire_kind kind, const void *data, size_t size,
	      struct error *err)
{
	const struct head head = { .kind = kind, .size = (uint32_t)size };
	size_t done = 0;

	while (done < sizeof(head) + size) {
		struct iovec rest[2];
		int count = rest_of(&head, data, done, rest);
		ssize_t n = writev(fd, rest, count);

		if (n < 0 && errno != EINTR)
			return error_set_errno(err, errno, "answering");
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

int wire_say(int fd, const char *kind, struct json *value, struct error *err)
{
	cleanup_json struct json *object = json_build("{s:o}", kind, value);
	cleanup_free char *text = object ? json_print(object) : NULL;

	if (!text)
		return error_set_errno(err, ENOMEM, "answering");
	if (strlen(text) > WIRE_TEXT_MAX)
		return error_set(err, ERROR_INTERNAL, "the answer is too long");
	return wire_send(fd, WIRE_TEXT, text, strlen(text), err);
}

int wire_begin(struct wire *wire, int fd, struct error *err)
{
	*wire = (struct wire){ .fd = fd, .buffer = malloc(BUFFER_SIZE) };
	return wire->buffer ? 0 : error_set_errno(err, ENOMEM, "asking the net worker");
}

void wire_done(struct wire *wire)
{
	free(wire->buffer);
	*wire = (struct wire){ .fd = -1 };
}

static int fill(struct wire *wire, struct error *err)
{
	ssize_t n;

	memmove(wire->buffer, wire->buffer + wire->start, wire->end - wire->start);
	wire->end -= wire->start;
	wire->start = 0;
	do {
		n = read(wire->fd, wire->buffer + wire->end, BUFFER_SIZE - wire->end);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return error_set_errno(err, errno, "hearing the net worker");
	if (n == 0) {
		(void)error_set(err, ERROR_INTERNAL, "the net worker is gone");
		err->errnum = EPIPE;
		return -1;
	}
	wire->end += (size_t)n;
	return 0;
}

/* Waits until so many bytes are in the buffer. */
static int need(struct wire *wire, size_t size, struct error *err)
{
	while (wire->end - wire->start < size) {
		if (fill(wire, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_frame(const struct head *head)
{
	switch (head->kind) {
	case WIRE_DATA:
		return head->size > 0;
	case WIRE_RESTART:
		return head->size == 0;
	case WIRE_TEXT:
		return head->size > 0 && head->size <= WIRE_TEXT_MAX;
	default:
		return false;
	}
}

static int read_head(struct wire *wire, struct error *err)
{
	struct head head;

	if (need(wire, sizeof(head), err) < 0)
		return -1;
	memcpy(&head, wire->buffer + wire->start, sizeof(head));
	if (!is_frame(&head))
		return error_set(err, ERROR_INTERNAL, "the net worker sent no frame");
	wire->start += sizeof(head);
	wire->kind = head.kind;
	wire->left = head.size;
	return 0;
}

int wire_next(struct wire *wire, struct wire_piece *ret_piece, struct error *err)
{
	size_t size;

	if (wire->left == 0 && read_head(wire, err) < 0)
		return -1;
	/* Of data what is there, at once; of a text all. */
	size = wire->kind == WIRE_DATA ? 1 : wire->left;
	if (need(wire, size, err) < 0)
		return -1;
	if (wire->kind == WIRE_DATA)
		size = wire->end - wire->start < wire->left ? wire->end - wire->start
							    : wire->left;
	*ret_piece = (struct wire_piece){ .kind = wire->kind,
					  .data = wire->buffer + wire->start,
					  .size = size };
	wire->start += size;
	wire->left -= (uint32_t)size;
	return 0;
}
