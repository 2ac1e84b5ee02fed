/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What all parts of the zip reader need: a file as a source, little-endian numbers, and
 * an error that names the member.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "worker/bundle/bundle.h"

#define BUNDLE_FILE_LOCAL 0x04034b50u /* the local header's signature */
#define BUNDLE_FILE_CENTRAL 0x02014b50u
#define BUNDLE_FILE_END 0x06054b50u
#define BUNDLE_FILE_END64 0x06064b50u
#define BUNDLE_FILE_ZIP64 0x0001 /* the extra field */

#define BUNDLE_FILE_ENCRYPTED (1u << 0)
#define BUNDLE_FILE_DESCRIPTOR (1u << 3) /* sizes and CRC follow the data */

/* Of the end of an archive: end record, comment, zip64's locator. */
#define BUNDLE_FILE_TAIL_MAX (22 + 65535 + 20)

static inline uint16_t bundle_file_u16(const unsigned char *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static inline uint32_t bundle_file_u32(const unsigned char *at)
{
	return bundle_file_u16(at) | (uint32_t)bundle_file_u16(at + 2) << 16;
}

static inline uint64_t bundle_file_u64(const unsigned char *at)
{
	return bundle_file_u32(at) | (uint64_t)bundle_file_u32(at + 4) << 32;
}

/* A file whose descriptor is borrowed and whose offset is not used. */
struct bundle_file {
	struct bundle_source source;
	int fd;
};
must_check int bundle_file_begin(struct bundle_file *file, int fd, struct error *err);

/* All `size` bytes, or ERROR_INTEGRITY where the file ends before. */
must_check int bundle_file_read(int fd, uint64_t offset, void *ret_data, size_t size,
				struct error *err);

static inline int bundle_source_read(struct bundle_source *source, uint64_t offset,
				     void *ret_data, size_t size, struct error *err)
{
	return source->read(source, offset, ret_data, size, err);
}

/* A name that a terminal can take. */
void bundle_file_name(struct span name, char ret_name[static BUNDLE_NAME_MAX + 1]);

/* ERROR_INTEGRITY, "<name> <why>". */
int bundle_file_refuse(struct span name, const char *why, struct error *err);
