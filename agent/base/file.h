/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whole files inside a root: read with a limit, replace without a torn state.
 */

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/root.h"
#include "base/span.h"

/*
 * Reads a whole file of at most `limit` bytes; anything but a regular file is an
 * error. The text is NUL-terminated and the caller frees it. A file that is not
 * there is an error with errnum ENOENT.
 */
must_check int file_read(const struct root *root, const char *path, size_t limit,
			 char **ret_text, size_t *ret_size, struct error *err);

/* The same for files of /proc and /sys and for descriptors: whatever can be read. */
must_check int file_read_fd(int fd, size_t limit, char **ret_text, size_t *ret_size,
			    struct error *err);

/*
 * Replaces `path` by `data`. After a return of 0 the new content survives a
 * power cut. After -1 the old content is untouched, unless the text says that
 * only the final directory sync failed. Readers never see a partial file. A
 * symbolic link at `path` is replaced by the file.
 */
must_check int file_write_atomic(const struct root *root, const char *path,
				 const void *data, size_t size, mode_t mode,
				 struct error *err);

/* Removes what a writer that was killed has left beside `path`, as well as it goes. */
void file_discard_new(const struct root *root, const char *path);

/* file_write_atomic() where the content or mode differs. `ret_changed` says so. */
must_check int file_update(const struct root *root, const char *path, struct span content,
			   mode_t mode, bool *ret_changed, struct error *err);

/* Copies a regular file with its mode, as file_write_atomic() does; any size. */
must_check int file_copy(const struct root *root, const char *from, const char *to,
			 struct error *err);

/*
 * Up to `size` bytes from `offset` on, fewer only where the file ends. The descriptor's
 * own offset stays: it may be somebody else's, too.
 */
must_check int file_read_at(int fd, uint64_t offset, void *ret_data, size_t size,
			    size_t *ret_size, struct error *err);

/* Writes all of it to a descriptor, through EINTR and short writes. */
must_check int file_write_all(int fd, const void *data, size_t size, struct error *err);

/*
 * Whether the two files hold the same bytes. Not the same: one of them is not there, or
 * no regular file. -1: it cannot be told.
 */
must_check int file_compare(const struct root *root, const char *path, const char *other,
			    bool *ret_same, struct error *err);

/* The same where a wrong "no" can do no harm. */
bool file_same(const struct root *root, const char *path, const char *other);
