/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_stream.h"

#include <string.h>

#include "worker/bundle/bundle_choice.h"
#include "worker/bundle/bundle_file.h"

#define u16 bundle_file_u16
#define u32 bundle_file_u32
#define u64 bundle_file_u64

#define DESCRIPTOR_SIGNATURE 0x08074b50u
#define DESCRIPTOR_MAX 24 /* signature, CRC-32 and two sizes of 64 bits */
#define HEAD_MAX (BUNDLE_LOCAL_SIZE + BUNDLE_NAME_MAX + UINT16_MAX)
#define TAIL_MAX (BUNDLE_DIRECTORY_MAX + BUNDLE_FILE_TAIL_MAX + 76)

/* Which bytes come next. */
enum part {
	PART_HEAD,       /* a local header, or the directory that follows the last one */
	PART_SKIPPED,    /* data of a known size that nobody wants */
	PART_DATA,       /* data that are unpacked */
	PART_DESCRIPTOR, /* what follows data whose size was not known before */
	PART_TAIL,       /* the directory and all the rest */
};

struct bundle_stream {
	struct sink sink;
	const struct member_wish *wish;
	struct sink *out;
	uint64_t max_size;

	enum part part;
	uint64_t position; /* in the archive, of the next byte */
	uint64_t left;     /* of data of a known size */
	bool descriptor;   /* the deflate stream tells its own end, then a data descriptor
			      follows */
	bool taking;       /* the data are of the wanted member: hand them to `out` */
	struct inflate inflate;

	/* The member that was taken, and its local header. */
	bool taken;
	uint64_t offset, compressed_size, size;
	uint32_t crc;
	size_t local_size;
	unsigned char local[BUNDLE_LOCAL_SIZE + BUNDLE_NAME_MAX];

	size_t used; /* of `head` */
	unsigned char head[HEAD_MAX];
	uint64_t tail_start;
	struct sink_memory tail;
};

static int give_up(const char *why, struct error *err)
{
	(void)error_set(err, ERROR_INTEGRITY, "it cannot be read in one pass: %s", why);
	err->errnum = BUNDLE_STREAM_NOT;
	return -1;
}

/* What the local header in `head` says of sizes, zip64 included; false: nothing. */
static bool read_sizes(const unsigned char *head, uint64_t *ret_compressed,
		       uint64_t *ret_size)
{
	const unsigned char *at = head + BUNDLE_LOCAL_SIZE + u16(head + 26);
	size_t left = u16(head + 28);

	*ret_compressed = u32(head + 18);
	*ret_size = u32(head + 22);
	if (*ret_compressed != UINT32_MAX && *ret_size != UINT32_MAX)
		return true;

	while (left >= 4 && u16(at + 2) <= left - 4u) {
		if (u16(at) == BUNDLE_FILE_ZIP64 && u16(at + 2) >= 16) {
			*ret_size = u64(at + 4);
			*ret_compressed = u64(at + 12);
			return true;
		}
		left -= 4u + u16(at + 2);
		at += 4u + u16(at + 2);
	}
	return false;
}

/* Of the first kind that is wanted: of the others only the whole directory can tell. */
static bool is_wanted(const struct bundle_stream *stream, struct span name)
{
	struct package package;
	const char *why;
	char arch[16];

	if (stream->taken || !package_parse(name, &package, &why) ||
	    package.kind != stream->wish->kinds[0])
		return false;
	member_arch(span_of(package.arch), arch, sizeof(arch));
	return member_fits_arch(arch, stream->wish->arch);
}

static int begin_data(struct bundle_stream *stream, uint16_t method, uint64_t size,
		      struct error *err)
{
	inflate_done(&stream->inflate);
	stream->part = PART_DATA;
	return inflate_begin(&stream->inflate, method == 8, size,
			     stream->taking ? stream->out : NULL, err);
}

static void remember(struct bundle_stream *stream, size_t name_size)
{
	stream->taken = true;
	stream->offset = stream->position - stream->used;
	stream->local_size = BUNDLE_LOCAL_SIZE + name_size;
	memcpy(stream->local, stream->head, stream->local_size);
}

/* The local header is whole. */
static int begin_member(struct bundle_stream *stream, struct error *err)
{
	const unsigned char *head = stream->head;
	struct span name = { (const char *)head + BUNDLE_LOCAL_SIZE, u16(head + 26) };
	uint16_t flags = u16(head + 6), method = u16(head + 8);
	bool plain = !(flags & BUNDLE_FILE_ENCRYPTED) && (method == 0 || method == 8);
	uint64_t compressed, size;

	if (!read_sizes(head, &compressed, &size))
		return give_up("a member does not say how large it is", err);
	stream->descriptor = flags & BUNDLE_FILE_DESCRIPTOR;
	stream->taking = plain && is_wanted(stream, name);
	if (stream->descriptor && span_ends(name, "/"))
		compressed = size = 0; /* a folder has none */
	else if (stream->descriptor && (!plain || method == 0))
		return give_up("the size of stored data follows them", err);
	if (stream->taking && !stream->descriptor && size > stream->max_size)
		return bundle_file_refuse(name, "is larger than it may be", err);

	stream->left = compressed;
	if (stream->taking)
		remember(stream, name.len);
	stream->used = 0;
	if (stream->descriptor && method == 8)
		return begin_data(
			stream, method,
			stream->taking ? stream->max_size : INFLATE_SIZE_UNKNOWN, err);
	if (stream->taking)
		return begin_data(stream, method, size, err);
	stream->part = stream->descriptor ? PART_DESCRIPTOR : PART_SKIPPED;
	if (stream->part == PART_DESCRIPTOR) {
		inflate_done(&stream->inflate);
		return inflate_begin(&stream->inflate, false, 0, NULL, err);
	}
	return 0;
}

/* How much of `head` is needed before there is something to decide. */
static size_t head_wants(const struct bundle_stream *stream)
{
	if (stream->part == PART_DESCRIPTOR)
		return DESCRIPTOR_MAX;
	if (stream->used < 4)
		return 4;
	if (stream->used < BUNDLE_LOCAL_SIZE)
		return BUNDLE_LOCAL_SIZE;
	return BUNDLE_LOCAL_SIZE + (size_t)u16(stream->head + 26) +
	       u16(stream->head + 28);
}

/*
 * The size of the descriptor at `at` of what was unpacked, 0: there is none. Its
 * signature may be missing, and its sizes have 32 or 64 bits.
 */
static size_t descriptor_size(const unsigned char *at, const struct inflate *data)
{
	size_t lead = u32(at) == DESCRIPTOR_SIGNATURE ? 4 : 0;

	/* Without a signature the CRC-32 may happen to be it. */
	if (lead && u32(at + 4) != data->crc && u32(at) == data->crc)
		lead = 0;
	at += lead;
	if (u32(at) != data->crc)
		return 0;
	if (u64(at + 4) == data->used && u64(at + 12) == data->done)
		return lead + 20;
	if (u32(at + 4) == data->used && u32(at + 8) == data->done)
		return lead + 12;
	return 0;
}

static int end_descriptor(struct bundle_stream *stream, struct error *err)
{
	size_t size = descriptor_size(stream->head, &stream->inflate);

	if (size == 0)
		return give_up("a data descriptor says something else", err);
	stream->used -= size;
	memmove(stream->head, stream->head + size, stream->used);
	stream->part = PART_HEAD;
	return 0;
}

static int end_head(struct bundle_stream *stream, struct error *err)
{
	uint32_t signature = u32(stream->head);
	size_t used = stream->used;

	if (signature == BUNDLE_FILE_CENTRAL || signature == BUNDLE_FILE_END ||
	    signature == BUNDLE_FILE_END64) {
		stream->part = PART_TAIL;
		stream->tail_start = stream->position - used;
		stream->used = 0;
		return sink_write(&stream->tail.sink, stream->head, used, err);
	}
	if (signature != BUNDLE_FILE_LOCAL)
		return give_up("its members do not follow each other", err);
	if (used >= BUNDLE_LOCAL_SIZE && u16(stream->head + 26) > BUNDLE_NAME_MAX)
		return error_set(err, ERROR_INTEGRITY,
				 "a member has a name that is too long");
	return used < head_wants(stream) ? 0 : begin_member(stream, err);
}

/* Into `head`, until something can be decided. */
static int take_head(struct bundle_stream *stream, const unsigned char *data, size_t size,
		     size_t *ret_used, struct error *err)
{
	size_t wants = head_wants(stream);
	size_t n = wants > stream->used ? wants - stream->used : 0;

	if (n > size)
		n = size;
	memcpy(stream->head + stream->used, data, n);
	stream->used += n;
	stream->position += n;
	*ret_used = n;
	if (stream->used < wants)
		return 0;
	return stream->part == PART_DESCRIPTOR ? end_descriptor(stream, err)
					       : end_head(stream, err);
}

/* After the last byte of a member's data: of the wanted one or of another. */
static int end_data(struct bundle_stream *stream, struct error *err)
{
	const struct inflate *data = &stream->inflate;

	if (data->stream && !data->ended)
		return error_set(err, ERROR_INTEGRITY,
				 "the data of a member end before their time");
	if (stream->taking) {
		stream->compressed_size = data->used;
		stream->size = data->done;
		stream->crc = data->crc;
	}
	stream->part = stream->descriptor ? PART_DESCRIPTOR : PART_HEAD;
	return 0;
}

static int take_data(struct bundle_stream *stream, const unsigned char *data, size_t size,
		     size_t *ret_used, struct error *err)
{
	size_t n = size;

	if (stream->descriptor) {
		if (inflate_take(&stream->inflate, data, size, ret_used, err) < 0)
			return -1;
		stream->position += *ret_used;
		return stream->inflate.ended ? end_data(stream, err) : 0;
	}

	if (stream->left < n)
		n = (size_t)stream->left;
	if (n > 0 && sink_write(&stream->inflate.sink, data, n, err) < 0)
		return -1;
	stream->left -= n;
	stream->position += n;
	*ret_used = n;
	return stream->left == 0 ? end_data(stream, err) : 0;
}

/*
 * Hands the bytes to the part of the archive that is at hand; `ret_used` may be less
 * than `size` where that part ends.
 */
static int take_some(struct bundle_stream *stream, const unsigned char *data, size_t size,
		     size_t *ret_used, struct error *err)
{
	switch (stream->part) {
	case PART_SKIPPED:
		*ret_used = stream->left < size ? (size_t)stream->left : size;
		stream->left -= *ret_used;
		stream->position += *ret_used;
		if (stream->left == 0)
			stream->part = PART_HEAD;
		return 0;
	case PART_DATA:
		return take_data(stream, data, size, ret_used, err);
	case PART_TAIL:
		*ret_used = size;
		stream->position += size;
		return sink_write(&stream->tail.sink, data, size, err);
	case PART_HEAD:
	case PART_DESCRIPTOR:
	default:
		return take_head(stream, data, size, ret_used, err);
	}
}

static int stream_write(struct sink *sink, const void *data, size_t size,
			struct error *err)
{
	struct bundle_stream *stream = (struct bundle_stream *)(void *)sink;
	const unsigned char *next = data;

	while (size > 0) {
		size_t used = 0;

		if (take_some(stream, next, size, &used, err) < 0)
			return -1;
		next += used;
		size -= used;
	}
	return 0;
}

static int stream_restart(struct sink *sink, struct error *err)
{
	struct bundle_stream *stream = (struct bundle_stream *)(void *)sink;

	stream->part = PART_HEAD;
	stream->position = 0;
	stream->used = 0;
	stream->taken = stream->taking = false;
	inflate_done(&stream->inflate);
	stream->tail.size = 0;
	return sink_restart(stream->out, err);
}

int bundle_stream_begin(const struct member_wish *wish, uint64_t max_size,
			struct sink *out, struct bundle_stream **ret_stream,
			struct error *err)
{
	struct bundle_stream *stream = calloc(1, sizeof(*stream));

	if (!stream)
		return error_set_errno(err, ENOMEM, "reading the archive");
	stream->sink = (struct sink){ .write = stream_write, .restart = stream_restart };
	stream->wish = wish;
	stream->max_size = max_size;
	stream->out = out;
	sink_memory_begin(&stream->tail, TAIL_MAX);
	*ret_stream = stream;
	return 0;
}

struct sink *bundle_stream_sink(struct bundle_stream *stream)
{
	return &stream->sink;
}

void bundle_stream_free(struct bundle_stream *stream)
{
	if (!stream)
		return;
	inflate_done(&stream->inflate);
	sink_memory_done(&stream->tail);
	free(stream);
}

/* What was kept of the archive: one local header, and the directory with all after it. */
struct kept {
	struct bundle_source source;
	const struct bundle_stream *stream;
};

/* Copies what `kept` bytes from `start` on have of `count` bytes from `offset` on. */
static void overlay(unsigned char *to, uint64_t offset, size_t count, uint64_t start,
		    struct span kept)
{
	uint64_t first = start > offset ? start : offset;
	uint64_t end = start + kept.len < offset + count ? start + kept.len
							 : offset + count;

	if (first < end)
		memcpy(to + (first - offset), kept.at + (first - start),
		       (size_t)(end - first));
}

/* Bytes that were not kept read as zeros, which are no signature of anything. */
static int kept_read(struct bundle_source *source, uint64_t offset, void *ret_data,
		     size_t count, struct error *err)
{
	const struct bundle_stream *stream = ((struct kept *)source)->stream;
	struct span tail = { stream->tail.data, stream->tail.size };
	struct span local = { (const char *)stream->local, stream->local_size };

	if (offset > source->size || count > source->size - offset)
		return error_set(err, ERROR_INTEGRITY, "the archive ends too early");
	memset(ret_data, 0, count);
	overlay(ret_data, offset, count, stream->tail_start, tail);
	if (stream->taken)
		overlay(ret_data, offset, count, stream->offset, local);
	return 0;
}

static int agree(const struct bundle_stream *stream, const struct bundle_member *member,
		 struct error *err)
{
	if (stream->compressed_size == member->compressed_size &&
	    stream->size == member->size && stream->crc == member->crc)
		return 0;
	return bundle_file_refuse(member->name, "is not what the directory says of it",
				  err);
}

int bundle_stream_end(struct bundle_stream *stream, struct member *ret_member,
		      struct error *err)
{
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	struct kept kept = { .source = { .size = stream->position, .read = kept_read },
			     .stream = stream };
	const struct bundle_member *found;
	struct member member;

	if (stream->part != PART_TAIL)
		return error_set(err, ERROR_INTEGRITY,
				 "it does not end like a zip archive: cut off, or "
				 "something follows");
	if (bundle_open(&kept.source, &bundle, err) < 0 ||
	    bundle_choice_make(&bundle, stream->wish, &member, &found, err) < 0)
		return -1;
	if (!stream->taken || found->offset != stream->offset)
		return give_up("another member than the first one of its kind is wanted",
			       err);
	if (bundle_check(&bundle, found, err) < 0 || agree(stream, found, err) < 0)
		return -1;
	*ret_member = member;
	return 0;
}
