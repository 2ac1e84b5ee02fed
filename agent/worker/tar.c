/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tar.h"

#include <string.h>

#include "base/text.h"
#include "model/repository/manifest.h"

/* Where the fields of a header are, and how long. */
#define NAME_AT 0
#define NAME_SIZE 100
#define MODE_AT 100
#define UID_AT 108
#define GID_AT 116
#define SIZE_AT 124
#define SIZE_SIZE 12
#define MTIME_AT 136
#define SUM_AT 148
#define SUM_SIZE 8
#define TYPE_AT 156
#define LINK_AT 157
#define MAGIC_AT 257
#define VERSION_AT 263
#define PREFIX_AT 345

static const unsigned char nothing[TAR_BLOCK];

/* Digits, then only blanks and NULs: GNU's binary numbers are none. */
static bool read_octal(const unsigned char *field, size_t size, uint64_t *ret_value)
{
	uint64_t value = 0;
	size_t at = 0;

	while (at < size && field[at] >= '0' && field[at] <= '7')
		value = value << 3 | (uint64_t)(field[at++] - '0');
	if (at == 0)
		return false;
	for (; at < size; at++) {
		if (field[at] != ' ' && field[at] != '\0')
			return false;
	}
	*ret_value = value;
	return true;
}

/* The sum of all bytes, its own field taken as blanks. */
static unsigned sum_of(const unsigned char block[static TAR_BLOCK])
{
	unsigned sum = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += i >= SUM_AT && i < SUM_AT + SUM_SIZE ? ' ' : block[i];
	return sum;
}

/* NULL, or what is wrong with the header. */
static const char *read_head(const unsigned char block[static TAR_BLOCK],
			     struct tar_member *ret_member)
{
	struct tar_member member = { .size = 0 };
	uint64_t sum;

	if (memcmp(block + MAGIC_AT, "ustar", 5) != 0)
		return "is no tar archive";
	if (!read_octal(block + SUM_AT, SUM_SIZE, &sum) || sum != sum_of(block))
		return "has a header whose checksum is wrong";
	if (block[TYPE_AT] != '0' && block[TYPE_AT] != '\0')
		return "holds something that is no regular file";
	if (block[LINK_AT] || block[PREFIX_AT])
		return "holds a link or a name in two parts";
	if (!memchr(block + NAME_AT, '\0', NAME_SIZE))
		return "holds a name that is too long";
	(void)text_copy(member.name, sizeof(member.name), (const char *)block + NAME_AT);
	if (!manifest_path_is_safe(span_of(member.name)))
		return "holds an unsafe name";
	if (!read_octal(block + SIZE_AT, SIZE_SIZE, &member.size))
		return "holds a size that is no number";

	*ret_member = member;
	return NULL;
}

static size_t fill_of(uint64_t size)
{
	return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

static int end_member(struct tar *tar, struct error *err)
{
	tar->to = NULL;
	return tar->taker->end(tar->taker, err);
}

/*
 * One full block of the archive: a member's head, or one of the two empty blocks at its
 * end.
 */
static int take_head(struct tar *tar, struct error *err)
{
	const char *why;

	tar->used = 0;
	if (memcmp(tar->block, nothing, TAR_BLOCK) == 0) {
		tar->zeros++;
		return 0;
	}
	if (tar->zeros > 0)
		return error_set(err, ERROR_INTEGRITY,
				 "the archive goes on after its end");
	why = read_head(tar->block, &tar->member);
	if (why)
		return error_set(err, ERROR_INTEGRITY, "the archive %s", why);
	if (tar->members == TAR_MEMBERS_MAX)
		return error_set(err, ERROR_INTEGRITY,
				 "the archive has too many members");

	tar->members++;
	tar->left = tar->member.size;
	tar->fill = fill_of(tar->member.size);
	if (tar->taker->begin(tar->taker, &tar->member, &tar->to, err) < 0)
		return -1;
	return tar->left == 0 ? end_member(tar, err) : 0;
}

static int take_bytes(struct tar *tar, const unsigned char *data, size_t size,
		      struct error *err)
{
	if (sink_write(tar->to, data, size, err) < 0)
		return error_prefix(err, "%s", tar->member.name);
	tar->left -= size;
	return tar->left == 0 ? end_member(tar, err) : 0;
}

/* What the archive is at: a member's bytes, what fills its last block, or a header. */
static int take_piece(struct tar *tar, const unsigned char *data, size_t size,
		      size_t *ret_taken, struct error *err)
{
	size_t room = TAR_BLOCK - tar->used;

	if (tar->left > 0) {
		*ret_taken = size < tar->left ? size : (size_t)tar->left;
		return take_bytes(tar, data, *ret_taken, err);
	}
	if (tar->fill > 0) {
		*ret_taken = size < tar->fill ? size : tar->fill;
		tar->fill -= *ret_taken;
		return 0;
	}
	*ret_taken = size < room ? size : room;
	memcpy(tar->block + tar->used, data, *ret_taken);
	tar->used += *ret_taken;
	return tar->used == TAR_BLOCK ? take_head(tar, err) : 0;
}

static int write_tar(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct tar *tar = (struct tar *)(void *)sink;
	const unsigned char *next = data;

	while (size > 0) {
		size_t taken = 0;

		if (take_piece(tar, next, size, &taken, err) < 0)
			return -1;
		next += taken;
		size -= taken;
	}
	return 0;
}

void tar_begin(struct tar *tar, struct tar_taker *taker)
{
	*tar = (struct tar){ .sink = { .write = write_tar }, .taker = taker };
}

int tar_end(struct tar *tar, struct error *err)
{
	if (tar->left > 0 || tar->fill > 0 || tar->used > 0 || tar->zeros < 2)
		return error_set(err, ERROR_INTEGRITY, "the archive ends too early");
	return 0;
}

int tar_write_head(struct sink *sink, const struct tar_member *member, struct error *err)
{
	unsigned char block[TAR_BLOCK] = { 0 };
	size_t length = strlen(member->name);
	char number[24];

	if (length >= NAME_SIZE || member->size >> 33)
		return error_set(err, ERROR_INTERNAL, "%s does not fit into an archive",
				 member->name);

	memcpy(block + NAME_AT, member->name, length);
	memcpy(block + MODE_AT, "0000644", 7);
	memcpy(block + UID_AT, "0000000", 7);
	memcpy(block + GID_AT, "0000000", 7);
	(void)text_format(number, sizeof(number), "%011llo",
			  (unsigned long long)member->size);
	memcpy(block + SIZE_AT, number, 11);
	memcpy(block + MTIME_AT, "00000000000", 11);
	block[TYPE_AT] = '0';
	memcpy(block + MAGIC_AT, "ustar", 5);
	memcpy(block + VERSION_AT, "00", 2);
	(void)text_format(number, sizeof(number), "%06o", sum_of(block));
	memcpy(block + SUM_AT, number, 7);
	block[SUM_AT + 7] = ' ';
	return sink_write(sink, block, sizeof(block), err);
}

int tar_write_fill(struct sink *sink, uint64_t size, struct error *err)
{
	size_t fill = fill_of(size);

	return fill > 0 ? sink_write(sink, nothing, fill, err) : 0;
}

int tar_write_end(struct sink *sink, struct error *err)
{
	if (sink_write(sink, nothing, TAR_BLOCK, err) < 0)
		return -1;
	return sink_write(sink, nothing, TAR_BLOCK, err);
}
