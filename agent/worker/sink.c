/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"

/* libcurl hands over 16 KiB: 1 MiB halves the CPU time. */
#define PIECE ((size_t)1 << 20)
#define WINDOW (16u << 20) /* twice so much is on its way to the disk at most */
#define MEMORY_SHARE 8     /* a file larger than this part of the memory is forgotten */

int sink_write(struct sink *sink, const void *data, size_t size, struct error *err)
{
	return sink->write(sink, data, size, err);
}

int sink_restart(struct sink *sink, struct error *err)
{
	if (!sink->restart)
		return error_set(err, ERROR_NETWORK,
				 "the transfer cannot begin again from its start");
	return sink->restart(sink, err);
}

uint64_t sink_file_written(const struct sink_file *file)
{
	return file->size - file->used;
}

/*
 * Starts to write one window while the one before it is waited for. Nothing is said of
 * failures: fdatasync(2) at the end says them.
 */
static void pace(struct sink_file *file)
{
	uint64_t written = sink_file_written(file);

	if (written - file->started < WINDOW)
		return;
	(void)sync_file_range(file->fd, (off_t)file->started,
			      (off_t)(written - file->started), SYNC_FILE_RANGE_WRITE);
	if (file->started > file->settled) {
		off_t size = (off_t)(file->started - file->settled);

		(void)sync_file_range(file->fd, (off_t)file->settled, size,
				      SYNC_FILE_RANGE_WAIT_BEFORE |
					      SYNC_FILE_RANGE_WRITE |
					      SYNC_FILE_RANGE_WAIT_AFTER);
		if (file->forget)
			(void)posix_fadvise(file->fd, (off_t)file->settled, size,
					    POSIX_FADV_DONTNEED);
	}
	file->settled = file->started;
	file->started = written;
}

static int file_flush(struct sink_file *file, struct error *err)
{
	if (file_write_all(file->fd, file->buffer, file->used, err) < 0)
		return -1;
	file->used = 0;
	pace(file);
	return 0;
}

/* Into the buffer, as much as there is room. */
static size_t fill_buffer(struct sink_file *file, const char *data, size_t size)
{
	size_t n = PIECE - file->used < size ? PIECE - file->used : size;

	memcpy(file->buffer + file->used, data, n);
	file->used += n;
	file->size += n;
	return n;
}

/*
 * Whole pieces go to the file, the rest waits in the buffer: few large writes, and the
 * disk is asked to begin early.
 */
static int file_write(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct sink_file *file = (struct sink_file *)sink;
	const char *next = data;

	while (size > 0) {
		size_t n = PIECE;

		if (file->used == 0 && size >= PIECE) {
			if (file_write_all(file->fd, next, PIECE, err) < 0)
				return -1;
			file->size += PIECE;
			pace(file);
		} else {
			n = fill_buffer(file, next, size);
			if (file->used == PIECE && file_flush(file, err) < 0)
				return -1;
		}
		next += n;
		size -= n;
	}

	return 0;
}

static int file_restart(struct sink *sink, struct error *err)
{
	struct sink_file *file = (struct sink_file *)sink;

	file->used = 0;
	file->size = file->started = file->settled = 0;
	if (ftruncate(file->fd, 0) < 0 || lseek(file->fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "emptying the partial file");
	return 0;
}

int sink_file_begin(struct sink_file *file, int fd, uint64_t have, struct error *err)
{
	char *buffer;

	if (ftruncate(fd, (off_t)have) < 0 || lseek(fd, (off_t)have, SEEK_SET) < 0)
		return error_set_errno(err, errno, "preparing the file to write");
	buffer = malloc(PIECE);
	if (!buffer)
		return error_set_errno(err, ENOMEM, "preparing the file to write");

	*file = (struct sink_file){
		.sink = { .write = file_write, .restart = file_restart },
		.fd = fd,
		.size = have,
		.buffer = buffer,
		.started = have,
		.settled = have,
	};
	return 0;
}

int sink_file_reserve(struct sink_file *file, uint64_t size, struct error *err)
{
	long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);

	file->forget = pages > 0 && page > 0 &&
		       size > (uint64_t)pages * (uint64_t)page / MEMORY_SHARE;
	if (size <= file->size)
		return 0;
	if (fallocate(file->fd, FALLOC_FL_KEEP_SIZE, (off_t)file->size,
		      (off_t)(size - file->size)) == 0)
		return 0;
	if (errno != ENOSPC && errno != EDQUOT)
		return 0; /* not every file system can */
	return error_set_errno(err, errno, "making room for %ju bytes",
			       (uintmax_t)(size - file->size));
}

int sink_file_end(struct sink_file *file, struct error *err)
{
	if (file_flush(file, err) < 0)
		return -1;
	if (fdatasync(file->fd) < 0)
		return error_set_errno(err, errno, "syncing the file");
	return 0;
}

void sink_file_done(struct sink_file *file)
{
	free(file->buffer);
	*file = (struct sink_file){ .fd = -1 };
}

/* Grows by doubling up to the limit; more is an error, not a cut. */
static int memory_write(struct sink *sink, const void *data, size_t size,
			struct error *err)
{
	struct sink_memory *memory = (struct sink_memory *)sink;
	size_t need = memory->size + size + 1;

	if (size > memory->limit - memory->size)
		return error_set(err, ERROR_INTEGRITY, "more than %zu bytes",
				 memory->limit);

	if (need > memory->capacity) {
		size_t capacity = need < 8192 ? 8192 : need * 2;
		char *data_grown = realloc(memory->data, capacity);

		if (!data_grown)
			return error_set_errno(err, ENOMEM, "keeping the answer");
		memory->data = data_grown;
		memory->capacity = capacity;
	}

	memcpy(memory->data + memory->size, data, size);
	memory->size += size;
	memory->data[memory->size] = '\0';
	return 0;
}

static int memory_restart(struct sink *sink, struct error *err)
{
	struct sink_memory *memory = (struct sink_memory *)sink;

	(void)err;
	memory->size = 0;
	return 0;
}

void sink_memory_begin(struct sink_memory *memory, size_t limit)
{
	*memory = (struct sink_memory){
		.sink = { .write = memory_write, .restart = memory_restart },
		.limit = limit,
	};
}

void sink_memory_done(struct sink_memory *memory)
{
	free(memory->data);
	*memory = (struct sink_memory){ .data = NULL };
}
