/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_directory.h"

#include <errno.h>
#include <string.h>

#include "model/repository/manifest.h"
#include "worker/bundle/bundle_file.h"

#define CENTRAL_SIZE 46
#define END_SIZE 22
#define LOCATOR_SIGNATURE 0x07064b50u
#define LOCATOR_SIZE 20
#define END64_SIZE 56
#define MADE_BY_UNIX 3
#define MADE_BY_MACOS 19

#define u16 bundle_file_u16
#define u32 bundle_file_u32
#define u64 bundle_file_u64

/* The end of central directory record, made 64 bits wide. */
struct end {
	uint64_t position; /* where the directory ends: of this record or of zip64's */
	uint64_t count;
	uint64_t size;
	uint64_t offset;
};

static int refuse_directory(struct error *err, const char *why)
{
	return error_set(err, ERROR_INTEGRITY, "%s", why);
}

/*
 * The last record whose comment ends exactly where the file ends: a signature inside
 * a comment or after the archive does not count.
 */
static const unsigned char *find_end(const unsigned char *tail, size_t size)
{
	for (size_t at = size - END_SIZE + 1; at-- > 0;) {
		if (u32(tail + at) == BUNDLE_FILE_END &&
		    u16(tail + at + 20) == size - END_SIZE - at)
			return tail + at;
	}
	return NULL;
}

/* Where the zip64 record is that the locator at `locator` means; 0 is no place for it. */
static int find_end64(struct bundle_source *source, uint64_t locator, uint64_t claimed,
		      unsigned char ret_record[static END64_SIZE], uint64_t *ret_position,
		      struct error *err)
{
	/* With bytes in front of the archive the claim is too low by their number. */
	uint64_t places[] = { locator >= END64_SIZE ? locator - END64_SIZE : 0, claimed };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		if (places[i] > locator || locator - places[i] < END64_SIZE)
			continue;
		if (bundle_source_read(source, places[i], ret_record, END64_SIZE, err) <
		    0)
			return -1;
		if (u32(ret_record) == BUNDLE_FILE_END64 &&
		    u64(ret_record + 4) == locator - places[i] - 12) {
			*ret_position = places[i];
			return 0;
		}
	}
	return refuse_directory(err, "its zip64 record is damaged");
}

/* A value of the short record is the one of zip64 or says that it is there. */
static bool widen(uint64_t *value, uint64_t saturated, uint64_t wide)
{
	if (*value != saturated && *value != wide)
		return false;
	*value = wide;
	return true;
}

static int read_end64(struct bundle_source *source, uint64_t locator_position,
		      const unsigned char *locator, struct end *end, struct error *err)
{
	unsigned char record[END64_SIZE];

	if (u32(locator + 4) != 0 || u32(locator + 16) > 1)
		return refuse_directory(err, "it has several parts");
	if (find_end64(source, locator_position, u64(locator + 8), record, &end->position,
		       err) < 0)
		return -1;
	if (u32(record + 16) != 0 || u32(record + 20) != 0 ||
	    u64(record + 24) != u64(record + 32))
		return refuse_directory(err, "it has several parts");
	if (!widen(&end->count, UINT16_MAX, u64(record + 32)) ||
	    !widen(&end->size, UINT32_MAX, u64(record + 40)) ||
	    !widen(&end->offset, UINT32_MAX, u64(record + 48)))
		return refuse_directory(err,
					"its zip64 record contradicts its end record");
	return 0;
}

/*
 * The end record, and zip64's where a locator stands before it. An archive of several
 * parts and one with bytes behind the record are refused.
 */
static int read_end(struct bundle_source *source, struct end *ret_end, struct error *err)
{
	uint64_t file_size = source->size;
	size_t size = BUNDLE_FILE_TAIL_MAX;
	cleanup_free unsigned char *tail = NULL;
	const unsigned char *record, *locator;

	if (file_size < END_SIZE)
		return refuse_directory(err, "it is too short for a zip archive");
	if (size > file_size)
		size = (size_t)file_size;
	tail = malloc(size);
	if (!tail)
		return error_set_errno(err, ENOMEM, "reading the archive");
	if (bundle_source_read(source, file_size - size, tail, size, err) < 0)
		return -1;

	record = find_end(tail, size);
	if (!record)
		return refuse_directory(err,
					"it does not end like a zip archive: cut off, or "
					"something follows");
	*ret_end = (struct end){
		.position = file_size - size + (size_t)(record - tail),
		.count = u16(record + 10),
		.size = u32(record + 12),
		.offset = u32(record + 16),
	};
	if (u16(record + 8) != u16(record + 10) ||
	    (u16(record + 4) != 0 && u16(record + 4) != UINT16_MAX) ||
	    (u16(record + 6) != 0 && u16(record + 6) != UINT16_MAX))
		return refuse_directory(err, "it has several parts");

	if (record - tail < LOCATOR_SIZE)
		return 0;
	locator = record - LOCATOR_SIZE;
	if (u32(locator) != LOCATOR_SIGNATURE)
		return 0;
	return read_end64(source, ret_end->position - LOCATOR_SIZE, locator, ret_end,
			  err);
}

/*
 * The zip64 extra field holds only what is saturated in the fixed part, in this order:
 * size, compressed size, offset, disk (APPNOTE 4.5.3). False when it is too short.
 */
static bool read_zip64(struct span extra, struct bundle_member *member,
		       uint32_t *ret_disk)
{
	uint64_t *values[] = { &member->size, &member->compressed_size, &member->offset };
	const unsigned char *at = (const unsigned char *)extra.at;
	size_t left = extra.len;

	for (size_t i = 0; i < ARRAY_SIZE(values); i++) {
		if (*values[i] != UINT32_MAX)
			continue;
		if (left < 8)
			return false;
		*values[i] = u64(at);
		at += 8;
		left -= 8;
	}
	if (*ret_disk != UINT16_MAX)
		return true;
	if (left < 4)
		return false;
	*ret_disk = u32(at);
	return true;
}

/*
 * The extra fields of a member: only zip64's is of interest. NULL, or what is wrong.
 */
static const char *read_extra(struct span extra, struct bundle_member *member,
			      uint32_t disk)
{
	struct span zip64 = { 0 };

	while (extra.len >= 4) {
		const unsigned char *at = (const unsigned char *)extra.at;
		size_t size = u16(at + 2);

		if (size > extra.len - 4)
			return "has a damaged extra field";
		if (u16(at) == BUNDLE_FILE_ZIP64 && zip64.at)
			return "has two zip64 fields";
		if (u16(at) == BUNDLE_FILE_ZIP64)
			zip64 = (struct span){ extra.at + 4, size };
		extra.at += 4 + size;
		extra.len -= 4 + size;
	}

	if (!read_zip64(zip64, member, &disk))
		return "needs a zip64 field";
	return disk == 0 ? NULL : "lies in another part of the archive";
}

static const char *check_name(struct span name)
{
	if (name.len > BUNDLE_NAME_MAX)
		return "has a name that is too long";
	if (span_ends(name, "/"))
		name.len--;
	return manifest_path_is_safe(name) ? NULL : "has an unsafe name";
}

/* One entry off the front of `rest`; its offset stays relative to the archive's begin. */
static int read_member(struct span *rest, struct bundle_member *ret_member,
		       struct error *err)
{
	const unsigned char *at = (const unsigned char *)rest->at;
	size_t name_size, extra_size, size;
	const char *why;

	if (rest->len < CENTRAL_SIZE || u32(at) != BUNDLE_FILE_CENTRAL)
		return refuse_directory(err, "its directory is damaged");
	name_size = u16(at + 28);
	extra_size = u16(at + 30);
	size = CENTRAL_SIZE + name_size + extra_size + u16(at + 32);
	if (size > rest->len)
		return refuse_directory(err, "its directory is damaged");

	*ret_member = (struct bundle_member){
		.name = { rest->at + CENTRAL_SIZE, name_size },
		.flags = u16(at + 8),
		.method = u16(at + 10),
		.crc = u32(at + 16),
		.compressed_size = u32(at + 20),
		.size = u32(at + 24),
		.offset = u32(at + 42),
	};
	if (at[5] == MADE_BY_UNIX || at[5] == MADE_BY_MACOS)
		ret_member->mode = u32(at + 38) >> 16;

	why = check_name(ret_member->name);
	if (!why)
		why = read_extra(
			(struct span){ ret_member->name.at + name_size, extra_size },
			ret_member, u16(at + 34));
	if (why)
		return bundle_file_refuse(ret_member->name, why, err);

	rest->at += size;
	rest->len -= size;
	return 0;
}

static int compare_offsets(const void *a, const void *b)
{
	const struct bundle_member *x = a, *y = b;

	return (x->offset > y->offset) - (x->offset < y->offset);
}

/* Sorts by place; each must end before the next begins, the last before the directory. */
static int check_overlaps(struct bundle *bundle, uint64_t directory, struct error *err)
{
	struct bundle_member *members = bundle->members;

	qsort(members, bundle->count, sizeof(*members), compare_offsets);

	for (size_t i = 0; i < bundle->count; i++) {
		struct bundle_member *member = &members[i];
		uint64_t room;

		member->end = i + 1 < bundle->count ? members[i + 1].offset : directory;
		room = member->end > member->offset ? member->end - member->offset : 0;
		if (room < BUNDLE_LOCAL_SIZE + member->name.len ||
		    member->compressed_size > room - BUNDLE_LOCAL_SIZE - member->name.len)
			return bundle_file_refuse(member->name,
						  "overlaps what follows it", err);
	}
	return 0;
}

static int compare_names(const void *a, const void *b)
{
	const struct span *x = a, *y = b;
	int order = memcmp(x->at, y->at, x->len < y->len ? x->len : y->len);

	return order != 0 ? order : (x->len > y->len) - (x->len < y->len);
}

static int check_duplicates(const struct bundle *bundle, struct error *err)
{
	cleanup_free struct span *names = calloc(bundle->count + 1, sizeof(*names));

	if (!names)
		return error_set_errno(err, ENOMEM, "reading the archive");

	for (size_t i = 0; i < bundle->count; i++)
		names[i] = bundle->members[i].name;
	qsort(names, bundle->count, sizeof(*names), compare_names);
	for (size_t i = 1; i < bundle->count; i++) {
		if (compare_names(&names[i - 1], &names[i]) == 0)
			return bundle_file_refuse(names[i], "is there twice", err);
	}
	return 0;
}

static int read_members(struct bundle *bundle, const struct end *end, struct error *err)
{
	struct span rest = { bundle->directory, (size_t)end->size };
	uint64_t begin = end->position - end->size - end->offset;

	for (; bundle->count < end->count; bundle->count++) {
		struct bundle_member *member = &bundle->members[bundle->count];

		if (read_member(&rest, member, err) < 0)
			return -1;
		if (member->offset > end->offset)
			return bundle_file_refuse(member->name,
						  "lies outside of the archive", err);
		member->offset += begin;
	}
	if (rest.len > 0)
		return refuse_directory(err, "its directory is damaged");
	return 0;
}

int bundle_directory_read(struct bundle *bundle, struct error *err)
{
	struct end end = { 0 };

	if (read_end(bundle->source, &end, err) < 0)
		return -1;

	if (end.size > BUNDLE_DIRECTORY_MAX || end.count > BUNDLE_MEMBERS_MAX)
		return refuse_directory(err, "its directory is larger than any bundle's");
	/* What lies before the archive (a self-extractor) is the difference. */
	if (end.size > end.position || end.offset > end.position - end.size)
		return refuse_directory(err, "its end record points outside of it");

	bundle->directory = malloc((size_t)end.size + 1);
	bundle->members = calloc((size_t)end.count + 1, sizeof(*bundle->members));
	if (!bundle->directory || !bundle->members)
		return error_set_errno(err, ENOMEM, "reading the archive");
	if (bundle_source_read(bundle->source, end.position - end.size, bundle->directory,
			       (size_t)end.size, err) < 0)
		return -1;

	if (read_members(bundle, &end, err) < 0 || check_duplicates(bundle, err) < 0)
		return -1;
	return check_overlaps(bundle, end.position - end.size, err);
}
