/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A tar archive of a few regular files: read as a sink, its members' bytes on to the
 * sinks that the reader's owner names, and written reproducibly (POSIX ustar).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "worker/sink.h"

#define TAR_BLOCK 512
#define TAR_NAME_SIZE 101
#define TAR_MEMBERS_MAX 16

struct tar_member {
	char name[TAR_NAME_SIZE]; /* relative, without ".." and control characters */
	uint64_t size;
};

/* Who takes the members: each begins with its bytes' sink, and ends complete. */
struct tar_taker {
	int (*begin)(struct tar_taker *taker, const struct tar_member *member,
		     struct sink **ret_sink, struct error *err);
	int (*end)(struct tar_taker *taker, struct error *err);
};

struct tar {
	struct sink sink;
	struct tar_taker *taker;
	struct tar_member member;
	struct sink *to;
	uint64_t left; /* of the member's bytes */
	size_t fill;   /* bytes behind them up to the next block */
	size_t members;
	size_t zeros; /* blocks of zeros seen: from the first on only these */
	size_t used;
	unsigned char block[TAR_BLOCK];
};

/*
 * Anything but regular files is ERROR_INTEGRITY: links, devices, folders, extended
 * headers, names that lead elsewhere, sizes that are no octal number, a header whose
 * checksum is wrong. Whatever reads it limits the bytes in all.
 */
void tar_begin(struct tar *tar, struct tar_taker *taker);
must_check int tar_end(struct tar *tar, struct error *err);

/*
 * To write an archive: for each member its head, then its bytes by the caller, then the
 * fill of its last block; the end once, after the last member.
 */
must_check int tar_write_head(struct sink *sink, const struct tar_member *member,
			      struct error *err);
must_check int tar_write_fill(struct sink *sink, uint64_t size, struct error *err);
must_check int tar_write_end(struct sink *sink, struct error *err);
