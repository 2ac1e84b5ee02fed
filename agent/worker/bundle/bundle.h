/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A zip archive as PKWARE's APPNOTE describes it: its central directory, checked, and one
 * member at a time unpacked into a sink. What two readers could understand differently
 * (overlaps, duplicates, local headers that say something else) is refused.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/span.h"
#include "worker/sink.h"

#define BUNDLE_DIRECTORY_MAX (16u << 20)
#define BUNDLE_MEMBERS_MAX 20000
#define BUNDLE_NAME_MAX 511 /* bytes; the longest one known has 226 */

struct bundle_member {
	struct span name; /* in the bundle's own memory, not NUL-terminated; safe */
	uint64_t offset;  /* of the local header, from the file's first byte */
	uint64_t end;     /* where the next member or the directory begins */
	uint64_t compressed_size;
	uint64_t size;
	uint32_t crc;
	uint16_t flags;  /* bit 3: sizes and CRC follow the data */
	uint16_t method; /* 0 stored, 8 deflated, others are refused when wanted */
	uint32_t mode;   /* of Unix, 0 when made elsewhere */
};

/* Where the archive's bytes come from: a file, or parts of one that lies elsewhere. */
struct bundle_source {
	uint64_t size;
	/* All `count` bytes from `offset`, or ERROR_INTEGRITY where there are none. */
	int (*read)(struct bundle_source *source, uint64_t offset, void *ret_data,
		    size_t count, struct error *err);
};

struct bundle {
	struct bundle_source *source; /* borrowed */
	char *directory;
	struct bundle_member *members; /* by their place in the file */
	size_t count;
};

#define BUNDLE_INIT ((struct bundle){ .source = NULL })

/*
 * Reads and checks the central directory of the file from its first to its last byte.
 * ERROR_INTEGRITY for an archive that is damaged or not to be trusted, naming the member
 * where it is one's fault.
 */
must_check int bundle_open(struct bundle_source *source, struct bundle *ret_bundle,
			   struct error *err);
void bundle_done(struct bundle *bundle);

/* NULL when there is none of this exact name. */
const struct bundle_member *bundle_find(const struct bundle *bundle, const char *name);

/* "dir/": has no content. */
bool bundle_is_folder(const struct bundle_member *member);

/*
 * Whether the member could be unpacked: a plain file, not encrypted, stored or
 * deflated, of plausible sizes, and described by its local header as by the directory.
 */
must_check int bundle_check(const struct bundle *bundle,
			    const struct bundle_member *member, struct error *err);

/*
 * The same by a local header that was read elsewhere: `head` holds its fixed part and as
 * many bytes as the member's name has. `ret_size`: of the whole local header; the data
 * follow it.
 */
#define BUNDLE_LOCAL_SIZE 30
must_check int bundle_check_local(const struct bundle_member *member,
				  const unsigned char *head, size_t *ret_size,
				  struct error *err);

/*
 * Checks the member and unpacks it into `sink`; on 0 all of it came, with the right size
 * and CRC-32. `max_size` limits the unpacked size. `progress` may be NULL.
 */
must_check int bundle_extract(const struct bundle *bundle,
			      const struct bundle_member *member, uint64_t max_size,
			      void (*progress)(uint64_t done, uint64_t total),
			      struct sink *sink, struct error *err);
