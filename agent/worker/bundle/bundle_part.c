/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_part.h"

#include <string.h>

#include "worker/bundle/bundle_file.h"

#define EXTRA_LIKELY 64 /* bytes: time stamps, owner, zip64 */

static int refuse_part(const struct bundle_part *part, struct error *err)
{
	char name[BUNDLE_NAME_MAX + 1];

	bundle_file_name(part->member.name, name);
	return error_prefix(err, "%.200s", name);
}

static int read_header(struct bundle_part *part, struct error *err)
{
	struct bundle_member *member = &part->member;

	if (part->adopt) {
		member->flags = bundle_file_u16(part->head + 6);
		member->crc = bundle_file_u32(part->head + 14);
		part->inflate.no_crc = true;
	}
	return bundle_check_local(member, part->head, &part->header, err);
}

/* As many of the bytes as belong to the head; -1, or what is left of them. */
static int take_head(struct bundle_part *part, const unsigned char **data, size_t *size,
		     struct error *err)
{
	size_t need = BUNDLE_LOCAL_SIZE + part->member.name.len;
	size_t n = need - (size_t)part->position < *size ? need - (size_t)part->position
							 : *size;

	memcpy(part->head + part->position, *data, n);
	part->position += n;
	*data += n;
	*size -= n;
	return part->position == need ? read_header(part, err) : 0;
}

/* The part of `size` bytes at the position that lies before `end`. */
static size_t before(const struct bundle_part *part, uint64_t end, size_t size)
{
	uint64_t left = end > part->position ? end - part->position : 0;

	return left < size ? (size_t)left : size;
}

static int part_write(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct bundle_part *part = (struct bundle_part *)(void *)sink;
	const unsigned char *next = data;
	size_t n;

	if (part->header == 0 && take_head(part, &next, &size, err) < 0)
		return -1;
	if (part->header == 0)
		return 0;

	n = before(part, part->header, size);
	part->position += n;
	next += n;
	size -= n;

	n = before(part, part->header + part->member.compressed_size, size);
	if (n > 0 && sink_write(&part->inflate.sink, next, n, err) < 0)
		return refuse_part(part, err);
	part->position += size; /* a descriptor that may follow says nothing new */
	return 0;
}

int bundle_part_begin(struct bundle_part *part, const struct bundle_member *member,
		      bool adopt, struct sink *next, struct error *err)
{
	if (member->name.len > BUNDLE_NAME_MAX)
		return bundle_file_refuse(member->name, "has a name that is too long",
					  err);
	*part = (struct bundle_part){
		.sink = { .write = part_write, .next = next },
		.member = *member,
		.adopt = adopt,
	};
	return inflate_begin(&part->inflate, member->method == 8, member->size, next,
			     err);
}

int bundle_part_resume(struct bundle_part *part, size_t header,
		       const struct inflate_point *point, struct span window,
		       struct error *err)
{
	if (inflate_resume(&part->inflate, point, window.at, window.len, err) < 0)
		return refuse_part(part, err);
	part->header = header;
	part->position = header + point->in;
	return 0;
}

void bundle_part_done(struct bundle_part *part)
{
	inflate_done(&part->inflate);
}

bool bundle_part_wants(const struct bundle_part *part, uint64_t *ret_first,
		       uint64_t *ret_end)
{
	const struct bundle_member *member = &part->member;
	size_t header = part->header
				? part->header
				: BUNDLE_LOCAL_SIZE + member->name.len + EXTRA_LIKELY;
	uint64_t room = member->end - member->offset;
	uint64_t need = header + member->compressed_size;

	if (need > room)
		need = room;
	if (part->position >= need)
		return false;
	*ret_first = member->offset + part->position;
	*ret_end = member->offset + need;
	return true;
}

int bundle_part_end(struct bundle_part *part, struct error *err)
{
	if (part->header == 0)
		return bundle_file_refuse(part->member.name, "has no local header", err);
	if (inflate_end(&part->inflate, part->member.crc, err) < 0)
		return refuse_part(part, err);
	return 0;
}
