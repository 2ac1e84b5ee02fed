/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/toolchain.h"

#include <stdarg.h>
#include <string.h>

#include "base/file.h"
#include "base/manager.h"
#include "base/text.h"

#define CONFIG_MAX (4u << 20)
#define NAMES_MAX 64

enum part {
	PART_HEADERS = 1 << 0,
	PART_MAKE = 1 << 1,
	PART_COMPILER = 1 << 2,
	PART_LINKER = 1 << 3,
	PART_LIBC = 1 << 4,
	PART_DKMS = 1 << 5,
};

/* The packages to ask for, with room for their names. */
struct wish {
	size_t count;
	char names[MANAGER_PACKAGES_MAX][128];
	const char *argv[MANAGER_PACKAGES_MAX + 1];
};

static bool exists(const struct root *root, const char *dir, const char *file)
{
	char path[256];
	struct stat st;

	return text_format(path, sizeof(path), "%s/%s", dir, file) &&
	       root_stat(root, path, &st);
}

static bool read_config(const struct root *root, const char *path, struct kernel *kernel)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	return file_read(root, path, CONFIG_MAX, &text, &size, &ignored) == 0 &&
	       kernel_read_config((struct span){ text, size }, kernel);
}

static void read_compiler(const struct root *root, struct kernel *kernel)
{
	static const char *const places[][2] = {
		{ "/lib/modules/", "/build/.config" },
		{ "/lib/modules/", "/build/include/config/auto.conf" },
		{ "/boot/config-", "" },
	};
	char path[192];

	for (size_t i = 0; i < ARRAY_SIZE(places) && !kernel->compiler[0]; i++) {
		if (text_format(path, sizeof(path), "%s%s%s", places[i][0],
				kernel->release, places[i][1]))
			(void)read_config(root, path, kernel);
	}
}

/* What an installation may have changed: the headers, and with them the compiler's name.
 */
static void read_kernel(const struct root *root, struct kernel *kernel)
{
	char path[128];

	if (kernel->headers)
		return;
	text_path(path, sizeof(path), "/lib/modules/%s/build", kernel->release);
	kernel->headers = exists(root, path, "Makefile") &&
			  (exists(root, path, "include/config/auto.conf") ||
			   exists(root, path, ".config"));
	read_compiler(root, kernel);
	if (!kernel->headers)
		return;

	(void)text_copy(kernel->build, sizeof(kernel->build), path);
	(void)text_copy(kernel->source, sizeof(kernel->source), path);
	/* Debian keeps what all flavours share in a folder of its own. */
	text_path(path, sizeof(path), "/lib/modules/%s/source", kernel->release);
	if (exists(root, path, "Makefile"))
		(void)text_copy(kernel->source, sizeof(kernel->source), path);
}

/* Whether gcc's own folder, /usr/lib/gcc/TRIPLET/MAJOR, is that of this version. */
static bool has_gcc_folder(const struct root *root, int major)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **triplets = NULL;
	bool found = false;
	struct stat st;

	if (root_list(root, "/usr/lib/gcc", NAMES_MAX, &triplets, &ignored) < 0)
		return false;
	for (char **triplet = triplets; *triplet && !found; triplet++) {
		char path[256];

		found = text_format(path, sizeof(path), "/usr/lib/gcc/%s/%d", *triplet,
				    major) &&
			root_stat(root, path, &st);
	}
	return found;
}

/*
 * The compiler of the major version that built the kernel, by its versioned name; else by
 * its plain name where it has the same version: red-hat systems have only that. What is
 * not known cannot be demanded.
 */
static bool find_compiler(const struct root *root, const struct kernel *kernel,
			  char *ret_path, size_t size)
{
	const char *name = kernel->clang ? "clang" : "gcc";
	char versioned[32];

	(void)text_format(versioned, sizeof(versioned), "%s-%d", name,
			  kernel->compiler_major);
	if (kernel->compiler_major > 0 && run_find(root, versioned, ret_path, size))
		return true;
	if (kernel->compiler_major > 0 && !kernel->clang &&
	    !has_gcc_folder(root, kernel->compiler_major))
		return false;
	return run_find(root, name, ret_path, size) != NULL;
}

static const char *compiler_name(const struct kernel *kernel, char *buffer, size_t size)
{
	const char *name = kernel->clang ? "clang" : "gcc";

	if (kernel->compiler_major > 0)
		(void)text_format(buffer, size, "%s-%d", name, kernel->compiler_major);
	else
		(void)text_copy(buffer, size, name);
	return buffer;
}

static bool find_linker(const struct root *root, const struct kernel *kernel)
{
	char path[128], versioned[32];

	if (!kernel->clang)
		return run_find(root, "ld", path, sizeof(path)) != NULL;
	(void)text_format(versioned, sizeof(versioned), "ld.lld-%d",
			  kernel->compiler_major);
	return run_find(root, versioned, path, sizeof(path)) ||
	       run_find(root, "ld.lld", path, sizeof(path));
}

static void name_part(struct toolchain *toolchain, const char *what)
{
	size_t used = strlen(toolchain->missing);

	(void)text_format(toolchain->missing + used, sizeof(toolchain->missing) - used,
			  "%s%s", used ? ", " : "", what);
}

/* Fills the toolchain; a set of enum part says what is not there. */
static unsigned find_parts(const struct root *root, const struct kernel *kernel,
			   bool dkms, struct toolchain *ret_toolchain)
{
	struct toolchain found = { .missing = "" };
	char words[128];
	unsigned missing = 0;

	if (!kernel->headers) {
		missing |= PART_HEADERS;
		(void)text_format(words, sizeof(words), "the headers of kernel %s",
				  kernel->release);
		name_part(&found, words);
	}
	if (!run_find(root, "make", found.make, sizeof(found.make))) {
		missing |= PART_MAKE;
		name_part(&found, "make");
		found.make[0] = '\0';
	}
	if (!find_compiler(root, kernel, found.compiler, sizeof(found.compiler))) {
		missing |= PART_COMPILER;
		name_part(&found, compiler_name(kernel, words, sizeof(words)));
		found.compiler[0] = '\0';
	}
	if (!find_linker(root, kernel)) {
		missing |= PART_LINKER;
		name_part(&found, kernel->clang ? "ld.lld" : "ld");
	}
	if (!exists(root, "/usr/include", "stdio.h")) {
		missing |= PART_LIBC;
		name_part(&found, "/usr/include/stdio.h");
	}
	if (dkms && !run_find(root, "dkms", words, sizeof(words))) {
		missing |= PART_DKMS;
		name_part(&found, "dkms");
	}

	*ret_toolchain = found;
	return missing;
}

int toolchain_find(const struct root *root, const struct kernel *kernel, bool dkms,
		   struct toolchain *ret_toolchain, struct error *err)
{
	struct kernel now = *kernel;

	if (!kernel_release_valid(span_of(kernel->release)))
		return error_set(err, ERROR_USAGE, "a kernel cannot be called so");
	read_kernel(root, &now);
	(void)find_parts(root, &now, dkms, ret_toolchain);
	return 0;
}

static void wish_add(struct wish *wish, const char *fmt, ...) printf_like(2, 3);
static void wish_add(struct wish *wish, const char *fmt, ...)
{
	va_list args;

	if (wish->count == MANAGER_PACKAGES_MAX)
		return;
	va_start(args, fmt);
	(void)vsnprintf(wish->names[wish->count], sizeof(wish->names[0]), fmt, args);
	va_end(args);
	wish->argv[wish->count] = wish->names[wish->count];
	wish->argv[++wish->count] = NULL;
}

static void wish_debian(struct wish *wish, const struct kernel *kernel, unsigned missing)
{
	char name[32];

	if (missing & PART_HEADERS)
		wish_add(wish, "linux-headers-%s", kernel->release);
	if (missing & PART_MAKE)
		wish_add(wish, "make");
	/* Which compiler it takes may only be known once the headers are there. */
	if (missing & PART_COMPILER &&
	    (kernel->compiler_major > 0 || !(missing & PART_HEADERS)))
		wish_add(wish, "%s", compiler_name(kernel, name, sizeof(name)));
	if (missing & PART_LINKER && kernel->clang && kernel->compiler_major > 0)
		wish_add(wish, "lld-%d", kernel->compiler_major);
	else if (missing & PART_LINKER && kernel->clang)
		wish_add(wish, "lld");
	else if (missing & PART_LINKER)
		wish_add(wish, "binutils");
	if (missing & PART_LIBC)
		wish_add(wish, "libc6-dev");
	if (missing & PART_DKMS)
		wish_add(wish, "dkms");
}

static void wish_rhel(struct wish *wish, const struct kernel *kernel, unsigned missing)
{
	if (missing & PART_HEADERS) {
		/*
		 * What every flavour's package provides (kernel-devel, kernel-rt-devel,
		 * kernel-debug-devel), with the release as uname says it.
		 */
		wish_add(wish, "kernel-devel-uname-r == %s", kernel->release);
		wish_add(wish, "elfutils-libelf-devel");
	}
	if (missing & PART_MAKE)
		wish_add(wish, "make");
	if (missing & PART_COMPILER)
		wish_add(wish, kernel->clang ? "clang" : "gcc");
	if (missing & PART_LINKER)
		wish_add(wish, kernel->clang ? "lld" : "binutils");
	if (missing & PART_LIBC)
		wish_add(wish, "glibc-devel");
	if (missing & PART_DKMS)
		wish_add(wish, "dkms");
}

static int hint(const struct kernel *kernel, enum kernel_family family, unsigned missing,
		struct error *err)
{
	if (missing & PART_DKMS && family == KERNEL_FAMILY_RHEL)
		return error_hint(err,
				  "dkms is in EPEL: set that repository up, or leave "
				  "driver.dkms at \"no\"");
	if (!(missing & PART_HEADERS))
		return error_hint(err,
				  "install what is missing, or give a prebuilt module "
				  "archive for this kernel");
	return error_hint(
		err,
		"install %s%s, boot a kernel whose headers are still to be had, "
		"or give a prebuilt module archive for this kernel",
		family == KERNEL_FAMILY_RHEL ? "kernel-devel-" : "linux-headers-",
		kernel->release);
}

/* One round of what is missing, as far as its packages can be named. */
static int install(const struct toolchain_system *system, const struct kernel *kernel,
		   unsigned missing, struct error *err)
{
	bool rhel = kernel_os_family(system->os) == KERNEL_FAMILY_RHEL;
	struct manager manager = {
		.kind = rhel ? MANAGER_DNF : MANAGER_APT,
		.runner = system->runner,
		.root = system->root,
		.log_fd = system->log_fd,
	};
	struct wish wish = { .count = 0 };

	if (rhel)
		wish_rhel(&wish, kernel, missing);
	else
		wish_debian(&wish, kernel, missing);
	return manager_install(&manager, wish.argv, err);
}

int toolchain_install(const struct toolchain_system *system, struct kernel *kernel,
		      struct toolchain *ret_toolchain, struct error *err)
{
	enum kernel_family family = kernel_os_family(system->os);
	struct toolchain toolchain;
	unsigned missing;

	read_kernel(system->root, kernel);
	missing = find_parts(system->root, kernel, system->dkms, &toolchain);
	/* A second round for the compiler that only the headers name. */
	for (int round = 0; round < 2 && missing; round++) {
		if (family == KERNEL_FAMILY_OTHER)
			break;
		if (install(system, kernel, missing, err) < 0) {
			if (err->interrupted)
				return -1;
			(void)error_prefix(err, "installing %s", toolchain.missing);
			return err->hint[0] ? -1 : hint(kernel, family, missing, err);
		}
		read_kernel(system->root, kernel);
		missing = find_parts(system->root, kernel, system->dkms, &toolchain);
	}
	if (missing) {
		(void)error_set(err, ERROR_PREREQUISITES, "not installed: %s",
				toolchain.missing);
		return hint(kernel, family, missing, err);
	}

	*ret_toolchain = toolchain;
	return 0;
}
