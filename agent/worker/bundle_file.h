/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What both halves of a zip reader need: bytes at an offset, little-endian numbers, and
 * an error that names the member.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "worker/bundle.h"

#define BUNDLE_FILE_LOCAL 0x04034b50u /* the local header's signature */

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

/* All `size` bytes, or ERROR_INTEGRITY where the file ends before. */
must_check int bundle_file_read(int fd, uint64_t offset, void *ret_data, size_t size,
				struct error *err);

/* A name that a terminal can take. */
void bundle_file_name(struct span name, char ret_name[static BUNDLE_NAME_MAX + 1]);

/* ERROR_INTEGRITY, "<name> <why>". */
int bundle_file_refuse(struct span name, const char *why, struct error *err);
