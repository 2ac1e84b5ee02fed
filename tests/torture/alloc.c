/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded into every program of a torture (/etc/ld.so.preload): counts the allocations
 * of the agent and its worker together, and refuses the one whose number stands in
 * ALLOC_FILE: two 64-bit numbers, the wanted one and the count.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALLOC_FILE "/torture/alloc"

struct shared {
	uint64_t wanted;
	_Atomic uint64_t count;
};

extern char *program_invocation_short_name;
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);

static struct shared *shared;

__attribute__((constructor)) static void open_shared(void)
{
	const char *name = program_invocation_short_name;
	void *at;
	int fd;

	if (strcmp(name, "vgpu-guest-agent") != 0 && strcmp(name, "fetch-worker") != 0)
		return;
	fd = open(ALLOC_FILE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	at = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (at != MAP_FAILED)
		shared = at;
}

static bool refuse(void)
{
	if (!shared || atomic_fetch_add(&shared->count, 1) + 1 != shared->wanted)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return refuse() ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return refuse() ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return refuse() ? NULL : __libc_realloc(old, size);
}
