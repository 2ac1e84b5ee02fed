/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where bytes go: a chain of sinks reads them once (http -> digest -> file).
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sink {
	/* Takes all of it or fails. */
	int (*write)(struct sink *sink, const void *data, size_t size, struct error *err);
	/* What came so far was not the beginning of this: begin anew. May be NULL:
	 * cannot. */
	int (*restart)(struct sink *sink, struct error *err);
	struct sink *next; /* may be NULL */
};

must_check int sink_write(struct sink *sink, const void *data, size_t size,
			  struct error *err);
must_check int sink_restart(struct sink *sink, struct error *err);

/*
 * Into a descriptor, in pieces of 1 MiB, after the first `have` bytes; restart truncates
 * it. The disk is kept at work meanwhile, so that neither the end waits for all of it nor
 * what is not yet written fills the memory of a small guest.
 */
struct sink_file {
	struct sink sink;
	int fd;
	uint64_t size; /* bytes written, those still in the buffer included */
	size_t used;
	char *buffer;
	uint64_t started, settled; /* on their way to the disk, and there */
	bool forget;               /* do not keep in memory what is on the disk */
};
must_check int sink_file_begin(struct sink_file *file, int fd, uint64_t have,
			       struct error *err);

/*
 * Says, after the begin, how large the file will be: a full disk is known before the
 * first byte, and the file lies in one piece. Its size stays: it says how much came.
 */
must_check int sink_file_reserve(struct sink_file *file, uint64_t size,
				 struct error *err);
uint64_t sink_file_written(const struct sink_file *file);
must_check int sink_file_end(struct sink_file *file,
			     struct error *err); /* flush, fdatasync */
void sink_file_done(struct sink_file *file);

/*
 * Into memory, at most `limit` bytes, NUL-terminated after every write; `data` is NULL
 * as long as nothing came. More is ERROR_INTEGRITY.
 */
struct sink_memory {
	struct sink sink;
	char *data;
	size_t size, capacity, limit;
};
void sink_memory_begin(struct sink_memory *memory, size_t limit);
void sink_memory_done(struct sink_memory *memory);
