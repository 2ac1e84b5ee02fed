/* SPDX-License-Identifier: Apache-2.0 */

/*
 * Preloaded into every program of a torture (/etc/ld.so.preload): counts the allocations
 * of the agent and its workers together, and refuses the one whose number stands in
 * ALLOC_FILE: two 64-bit numbers, the wanted one and the count. Those of libconfig are
 * left out: it uses them without a look, and the agent asks for that memory itself
 * before.
 */

#include <errno.h>
#include <fcntl.h>
#include <link.h>
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
static uintptr_t libconfig_begin, libconfig_end;

static int find_libconfig(struct dl_phdr_info *info, size_t size, void *context)
{
	(void)size;
	(void)context;
	if (!strstr(info->dlpi_name, "/libconfig.so"))
		return 0;
	libconfig_begin = info->dlpi_addr;
	for (int i = 0; i < info->dlpi_phnum; i++) {
		uintptr_t end = info->dlpi_addr + info->dlpi_phdr[i].p_vaddr +
				info->dlpi_phdr[i].p_memsz;

		if (info->dlpi_phdr[i].p_type == PT_LOAD && end > libconfig_end)
			libconfig_end = end;
	}
	return 1;
}

__attribute__((constructor)) static void open_shared(void)
{
	const char *name = program_invocation_short_name;
	void *at;
	int fd;

	if (strcmp(name, "vgpu-guest-agent") != 0 && strcmp(name, "fetch-worker") != 0 &&
	    strcmp(name, "net-worker") != 0)
		return;
	(void)dl_iterate_phdr(find_libconfig, NULL);
	fd = open(ALLOC_FILE, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return;
	at = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	(void)close(fd);
	if (at != MAP_FAILED)
		shared = at;
}

static bool refuse(const void *caller)
{
	uintptr_t at = (uintptr_t)caller;

	if (!shared || (at >= libconfig_begin && at < libconfig_end) ||
	    atomic_fetch_add(&shared->count, 1) + 1 != shared->wanted)
		return false;
	errno = ENOMEM;
	return true;
}

void *malloc(size_t size)
{
	return refuse(__builtin_return_address(0)) ? NULL : __libc_malloc(size);
}

void *calloc(size_t count, size_t size)
{
	return refuse(__builtin_return_address(0)) ? NULL : __libc_calloc(count, size);
}

void *realloc(void *old, size_t size)
{
	return refuse(__builtin_return_address(0)) ? NULL : __libc_realloc(old, size);
}

/* libc's own would call from libc. */
char *strdup(const char *text)
{
	size_t size = strlen(text) + 1;
	char *copy = refuse(__builtin_return_address(0)) ? NULL : __libc_malloc(size);

	return copy ? memcpy(copy, text, size) : NULL;
}
