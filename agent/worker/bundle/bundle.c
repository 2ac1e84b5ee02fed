/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "worker/bundle/bundle_directory.h"
#include "worker/bundle/bundle_file.h"
#include "worker/inflate.h"

#define PIECE ((size_t)1 << 20)

/* The most that deflate can make of one byte. */
#define RATIO_MAX 1032u

#define FLAG_PATCHED (1u << 5)
#define FLAG_STRONG (1u << 6)
#define FLAG_MASKED (1u << 13)
#define FLAGS_REFUSED (BUNDLE_FILE_ENCRYPTED | FLAG_PATCHED | FLAG_STRONG | FLAG_MASKED)
#define FLAGS_OF_LEVEL \
	(3u << 1) /* how hard it was compressed: says nothing to a reader */

const struct bundle_member *bundle_find(const struct bundle *bundle, const char *name)
{
	for (size_t i = 0; i < bundle->count; i++) {
		if (span_equals(bundle->members[i].name, name))
			return &bundle->members[i];
	}
	return NULL;
}

bool bundle_is_folder(const struct bundle_member *member)
{
	return span_ends(member->name, "/");
}

int bundle_open(struct bundle_source *source, struct bundle *ret_bundle,
		struct error *err)
{
	struct bundle bundle = { .source = source };

	if (bundle_directory_read(&bundle, err) < 0) {
		bundle_done(&bundle);
		return -1;
	}
	*ret_bundle = bundle;
	return 0;
}

void bundle_done(struct bundle *bundle)
{
	free(bundle->directory);
	free(bundle->members);
	*bundle = BUNDLE_INIT;
}

static const char *why_not(const struct bundle_member *member)
{
	uint32_t type = member->mode & S_IFMT;

	if (bundle_is_folder(member))
		return "is a folder";
	if (member->flags & FLAGS_REFUSED)
		return "is encrypted or a patch";
	if (type == S_IFLNK)
		return "is a symbolic link";
	if (type != 0 && type != S_IFREG)
		return "is no regular file";
	if (member->method != 0 && member->method != 8)
		return "is compressed by another method than deflate";
	if (member->method == 0 && member->compressed_size != member->size)
		return "is stored with two different sizes";
	if (member->method == 8 && member->size / RATIO_MAX > member->compressed_size)
		return "promises to unpack to more than deflate can hold";
	return NULL;
}

/* A local header may leave CRC and sizes to the descriptor, sizes also to zip64. */
static bool crc_agrees(uint32_t local, const struct bundle_member *member)
{
	return local == member->crc ||
	       (local == 0 && member->flags & BUNDLE_FILE_DESCRIPTOR);
}

static bool size_agrees(uint32_t local, uint64_t size, const struct bundle_member *member)
{
	return local == size || local == UINT32_MAX ||
	       (local == 0 && member->flags & BUNDLE_FILE_DESCRIPTOR);
}

/* What the local header says differently from the directory, or NULL. */
static const char *compare_local(const struct bundle_member *member,
				 const unsigned char *head)
{
	size_t name_size = member->name.len;

	if (bundle_file_u32(head) != BUNDLE_FILE_LOCAL)
		return "has no local header";
	if ((bundle_file_u16(head + 6) ^ member->flags) & ~FLAGS_OF_LEVEL)
		return "has other flags in its local header";
	if (bundle_file_u16(head + 8) != member->method)
		return "has another method in its local header";
	if (bundle_file_u16(head + 26) != name_size ||
	    memcmp(head + BUNDLE_LOCAL_SIZE, member->name.at, name_size) != 0)
		return "has another name in its local header";
	if (!crc_agrees(bundle_file_u32(head + 14), member) ||
	    !size_agrees(bundle_file_u32(head + 18), member->compressed_size, member) ||
	    !size_agrees(bundle_file_u32(head + 22), member->size, member))
		return "has other sizes or another CRC-32 in its local header";
	return NULL;
}

int bundle_check_local(const struct bundle_member *member, const unsigned char *head,
		       size_t *ret_size, struct error *err)
{
	const char *why = why_not(member);
	uint64_t room = member->end - member->offset;
	size_t size;

	if (!why)
		why = compare_local(member, head);
	if (why)
		return bundle_file_refuse(member->name, why, err);

	size = BUNDLE_LOCAL_SIZE + member->name.len + bundle_file_u16(head + 28);
	if (size > room || member->compressed_size > room - size)
		return bundle_file_refuse(member->name, "overlaps what follows it", err);
	*ret_size = size;
	return 0;
}

/* `ret_start`: where the data begin. */
static int check_member(const struct bundle *bundle, const struct bundle_member *member,
			uint64_t *ret_start, struct error *err)
{
	unsigned char head[BUNDLE_LOCAL_SIZE + BUNDLE_NAME_MAX] = { 0 };
	const char *why = why_not(member);
	struct error unreadable = ERROR_INIT;
	size_t size = 0;

	if (why)
		return bundle_file_refuse(member->name, why, err);
	if (bundle_source_read(bundle->source, member->offset, head,
			       BUNDLE_LOCAL_SIZE + member->name.len, &unreadable) < 0)
		return bundle_file_refuse(member->name, "has no local header", err);
	if (bundle_check_local(member, head, &size, err) < 0)
		return -1;
	*ret_start = member->offset + size;
	return 0;
}

int bundle_check(const struct bundle *bundle, const struct bundle_member *member,
		 struct error *err)
{
	uint64_t start;

	return check_member(bundle, member, &start, err);
}

typedef void report(uint64_t done, uint64_t total);

/* The packed bytes of a member, from `start` on, piece by piece into the sink. */
static int pump(const struct bundle *bundle, const struct bundle_member *member,
		uint64_t start, report *progress, struct inflate *inflate,
		struct error *err)
{
	cleanup_free char *buffer = malloc(PIECE);
	uint64_t done = 0;

	if (!buffer)
		return error_set_errno(err, ENOMEM, "unpacking");

	while (done < member->compressed_size) {
		uint64_t left = member->compressed_size - done;
		size_t piece = left < PIECE ? (size_t)left : PIECE;

		if (bundle_source_read(bundle->source, start + done, buffer, piece, err) <
		    0)
			return -1;
		if (sink_write(&inflate->sink, buffer, piece, err) < 0)
			return -1;
		done += piece;
		if (progress)
			progress(inflate->done, member->size);
	}
	return inflate_end(inflate, member->crc, err);
}

int bundle_extract(const struct bundle *bundle, const struct bundle_member *member,
		   uint64_t max_size, void (*progress)(uint64_t done, uint64_t total),
		   struct sink *sink, struct error *err)
{
	cleanup(inflate_done) struct inflate inflate = { .stream = NULL };
	char name[BUNDLE_NAME_MAX + 1];
	uint64_t start = 0;

	if (check_member(bundle, member, &start, err) < 0)
		return -1;
	if (member->size > max_size)
		return bundle_file_refuse(member->name, "is larger than it may be", err);

	bundle_file_name(member->name, name);
	if (inflate_begin(&inflate, member->method == 8, member->size, sink, err) < 0 ||
	    pump(bundle, member, start, progress, &inflate, err) < 0)
		return error_prefix(err, "%.200s", name);
	return 0;
}
