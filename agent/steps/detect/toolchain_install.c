/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/toolchain.h that installs what is missing. */

#include "steps/detect/toolchain_parts.h"

#include <stdarg.h>
#include <string.h>

#include "base/manager.h"
#include "base/text.h"
#include "model/kernel/family.h"

#define ASK_S 60
#define NAME_MAX_LEN 128
#define PACKAGES_TEXT_MAX 320

/* The packages to ask for, with room for their names. */
struct wish {
	size_t count;
	char names[MANAGER_PACKAGES_MAX][128];
	const char *argv[MANAGER_PACKAGES_MAX + 1];
};

/* One kernel's shopping: which alternative of each name comes next. */
struct shopping {
	const struct toolchain_system *system;
	struct kernel *kernel;
	const struct family *family;
	enum manager_kind manager;
	char own[NAME_MAX_LEN]; /* the headers' package by the kernel's own, "": unknown
				 */
	size_t headers, compiler;
};

static bool own_is_next(const struct shopping *shopping)
{
	return shopping->own[0] && shopping->headers == 0;
}

/* Which package the kernel's own headers are in, by the one that the kernel came in. */
static int ask_rpm(const struct toolchain_system *system, const char *release,
		   char *ret_name, size_t size, struct error *err)
{
	char program[128], path[KERNEL_RELEASE_MAX + 32];
	const char *argv[] = { program, "-qf", "--qf", "%{NAME} %{VERSION}-%{RELEASE}\n",
			       path,    NULL };
	struct run run = { .argv = argv, .timeout_s = ASK_S, .output_limit = 4096 };

	for (size_t i = 0; i < 2 && !ret_name[0]; i++) {
		cleanup(run_result_done) struct run_result result = { 0 };
		struct stat st;

		(void)text_format(path, sizeof(path),
				  i == 0 ? "/lib/modules/%s/vmlinuz" : "/boot/vmlinuz-%s",
				  release);
		if (!root_stat(system->root, path, &st) ||
		    !run_find(system->root, "rpm", program, sizeof(program)))
			continue;
		if (run_command(system->runner, system->root, &run, &result, err) < 0)
			return -1;
		if (result.status == 0 && result.signal == 0)
			(void)family_headers_of(
				(struct span){ result.output, result.size }, ret_name,
				size);
	}
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

/* Alternative `index` of a name, the last one where there are fewer; none: not wished. */
static bool wish_one_of(struct wish *wish, const char *pattern, size_t index,
			const struct kernel *kernel)
{
	size_t count = family_alternatives(pattern);
	char name[NAME_MAX_LEN];

	for (size_t i = index < count ? index : count - 1; i < count; i++) {
		if (family_expand(pattern, i, kernel, name, sizeof(name))) {
			wish_add(wish, "%s", name);
			return true;
		}
	}
	return false;
}

static void wish_headers(struct wish *wish, const struct shopping *shopping)
{
	const struct family *family = shopping->family;
	size_t index = shopping->headers - (shopping->own[0] && shopping->headers > 0);

	if (own_is_next(shopping))
		wish_add(wish, "%s", shopping->own);
	else
		(void)wish_one_of(wish, family->headers, index, shopping->kernel);
	if (family->beside[0])
		wish_add(wish, "%s", family->beside);
}

/*
 * Which version it takes may only be known once the headers are there: until then only a
 * name without one is asked for.
 */
static void wish_compiler(struct wish *wish, const struct shopping *shopping,
			  unsigned missing)
{
	const struct kernel *kernel = shopping->kernel;
	const char *names = kernel->clang ? shopping->family->clang
					  : shopping->family->compiler;
	char name[NAME_MAX_LEN];

	if (kernel->compiler_major == 0 && missing & PART_HEADERS &&
	    !family_expand(names, shopping->compiler, kernel, name, sizeof(name)))
		return;
	if (!wish_one_of(wish, names, shopping->compiler, kernel))
		wish_add(wish, kernel->clang ? "clang" : "gcc");
}

static void collect(struct wish *wish, const struct shopping *shopping, unsigned missing)
{
	const struct family *family = shopping->family;
	const struct kernel *kernel = shopping->kernel;

	if (missing & PART_HEADERS)
		wish_headers(wish, shopping);
	if (missing & PART_MAKE)
		wish_add(wish, "make");
	if (missing & PART_COMPILER)
		wish_compiler(wish, shopping, missing);
	if (missing & PART_LINKER && kernel->clang &&
	    !wish_one_of(wish, family->lld, 0, kernel))
		wish_add(wish, "lld");
	if (missing & PART_LINKER && !kernel->clang)
		wish_add(wish, "binutils");
	if (missing & PART_LIBC)
		wish_add(wish, "%s", family->libc);
	if (missing & PART_DKMS)
		wish_add(wish, "dkms");
}

/* Their package as this system calls it; false: nobody knows. */
static bool name_headers(const struct shopping *shopping, char *ret_name, size_t size)
{
	char name[NAME_MAX_LEN], *tail;

	if (shopping->own[0])
		return text_copy(ret_name, size, shopping->own);
	if (!shopping->family || !family_expand(shopping->family->headers, 0,
						shopping->kernel, name, sizeof(name)))
		return false;
	/* A capability is nothing to type: "kernel-devel-uname-r = K" is kernel-devel-K.
	 */
	tail = strstr(name, "-uname-r = ");
	if (!tail)
		return text_copy(ret_name, size, name);
	*tail = '\0';
	return text_format(ret_name, size, "%s-%s", name, tail + strlen("-uname-r = "));
}

/* What to install by hand, as this system calls it; "": nobody knows. */
static void name_packages(const struct shopping *shopping, unsigned missing,
			  char *ret_names, size_t size)
{
	struct wish wish = { .count = 0 };
	char name[NAME_MAX_LEN + KERNEL_RELEASE_MAX];

	ret_names[0] = '\0';
	if (!shopping->family)
		return;
	if (missing & PART_HEADERS && name_headers(shopping, name, sizeof(name)))
		wish_add(&wish, "%s", name);
	if (missing & PART_HEADERS && shopping->family->beside[0])
		wish_add(&wish, "%s", shopping->family->beside);
	collect(&wish, shopping, missing & ~(unsigned)PART_HEADERS);
	for (size_t i = 0, used = 0; i < wish.count; used = strlen(ret_names), i++)
		(void)text_format(ret_names + used, size - used, "%s%s", i ? " " : "",
				  wish.names[i]);
}

static bool is_image_based(const struct root *root)
{
	struct stat st;

	return root_stat(root, "/run/ostree-booted", &st);
}

static int hint(const struct shopping *shopping, unsigned missing, struct error *err)
{
	const struct root *root = shopping->system->root;
	char name[NAME_MAX_LEN + KERNEL_RELEASE_MAX], names[PACKAGES_TEXT_MAX];

	if (is_image_based(root))
		return error_hint(
			err, "this system is deployed as an image: put the driver, or "
			     "the compiler and the headers, into the image, or give "
			     "a prebuilt module archive for this kernel");
	if (missing & PART_DKMS && shopping->family &&
	    strcmp(shopping->family->manager, "apt-get") != 0)
		return error_hint(err,
				  "dkms is in EPEL: set that repository up, or leave "
				  "driver.dkms at \"no\"");
	name_packages(shopping, missing, names, sizeof(names));
	if (!(missing & PART_HEADERS))
		return error_hint(err,
				  "install %s, or give a prebuilt module archive for "
				  "this kernel",
				  names[0] ? names : "what is missing");
	return error_hint(err,
			  "install %s, boot a kernel whose headers are still to be had, "
			  "or give a prebuilt module archive for this kernel",
			  name_headers(shopping, name, sizeof(name))
				  ? name
				  : "the headers of this kernel");
}

/*
 * One round of what is missing, as far as its packages can be named; where the package
 * manager does not know a name, the next one that it may have.
 */
static int install(struct shopping *shopping, unsigned missing, struct error *err)
{
	const struct toolchain_system *system = shopping->system;
	struct manager manager = {
		.kind = shopping->manager,
		.runner = system->runner,
		.root = system->root,
		.log_fd = system->log_fd,
	};
	size_t headers = family_alternatives(shopping->family->headers) +
			 (shopping->own[0] != '\0');
	size_t compiler = family_alternatives(shopping->family->compiler);
	struct error first = ERROR_INIT, why = ERROR_INIT;

	for (;;) {
		struct wish wish = { .count = 0 };

		collect(&wish, shopping, missing);
		why = ERROR_INIT;
		if (wish.count == 0 || manager_install(&manager, wish.argv, &why) == 0)
			return 0;
		if (first.code == ERROR_NONE)
			first = why;
		if (why.interrupted || why.hint[0])
			break;
		if (missing & PART_HEADERS && shopping->headers + 1 < headers)
			shopping->headers++;
		else if (!(missing & PART_HEADERS) && missing & PART_COMPILER &&
			 shopping->compiler + 1 < compiler)
			shopping->compiler++;
		else
			break;
	}
	*err = why.interrupted ? why : first;
	return -1;
}

/* Whom to ask, and for what: both by what is there, the name of the system only helps. */
static int prepare(struct shopping *shopping, bool *ret_ready, struct error *err)
{
	const struct toolchain_system *system = shopping->system;
	const char *release = shopping->kernel->release;

	shopping->family = family_find(system->os, release);
	*ret_ready = manager_find(system->root,
				  shopping->family ? shopping->family->manager : "",
				  &shopping->manager);
	/* A name that is borne by two systems, one of .rpm and one of .deb. */
	if (!*ret_ready && shopping->family &&
	    manager_find(system->root, "", &shopping->manager)) {
		shopping->family = NULL;
		*ret_ready = true;
	}
	*ret_ready = *ret_ready && !is_image_based(system->root);
	if (*ret_ready && !shopping->family)
		shopping->family = family_of_manager(manager_name(shopping->manager));
	*ret_ready = *ret_ready && shopping->family;
	return ask_rpm(system, release, shopping->own, sizeof(shopping->own), err);
}

/* A compiler that was installed and is another version: the next name, if there is one.
 */
static bool has_next(struct shopping *shopping, unsigned missing)
{
	return missing == PART_COMPILER &&
	       ++shopping->compiler < family_alternatives(shopping->family->compiler);
}

/* Rounds: the headers name the compiler, and its first name may be that of another one.
 */
static int shop(struct shopping *shopping, unsigned *missing, struct toolchain *toolchain,
		struct error *err)
{
	const struct toolchain_system *system = shopping->system;
	struct toolchain_ask ask = { .runner = system->runner,
				     .root = system->root,
				     .kernel = shopping->kernel,
				     .err = err };

	while (*missing) {
		unsigned before = *missing;

		if (install(shopping, *missing, err) < 0) {
			if (err->interrupted)
				return -1;
			(void)error_prefix(err, "installing %s", toolchain->missing);
			return err->hint[0] ? -1 : hint(shopping, *missing, err);
		}
		if (toolchain_look(&ask, system->dkms, missing, toolchain) < 0)
			return -1;
		if (*missing == before && !has_next(shopping, *missing))
			break;
	}
	return 0;
}

int toolchain_install_names(const struct toolchain_system *system,
			    const struct kernel *kernel, char *ret_names, size_t size,
			    struct error *err)
{
	struct kernel now = *kernel;
	struct shopping shopping = { .system = system, .kernel = &now };
	struct toolchain_ask ask = {
		.runner = system->runner, .root = system->root, .kernel = &now, .err = err
	};
	struct toolchain toolchain;
	unsigned missing;
	bool ready;

	if (toolchain_look(&ask, system->dkms, &missing, &toolchain) < 0 ||
	    prepare(&shopping, &ready, err) < 0)
		return -1;
	name_packages(&shopping, missing, ret_names, size);
	return 0;
}

int toolchain_install(const struct toolchain_system *system, struct kernel *kernel,
		      struct toolchain *ret_toolchain, struct error *err)
{
	struct shopping shopping = { .system = system, .kernel = kernel };
	struct toolchain_ask ask = { .runner = system->runner,
				     .root = system->root,
				     .kernel = kernel,
				     .err = err };
	struct toolchain toolchain;
	unsigned missing;
	bool ready;

	if (toolchain_look(&ask, system->dkms, &missing, &toolchain) < 0)
		return -1;
	if (missing && (prepare(&shopping, &ready, err) < 0 ||
			(ready && shop(&shopping, &missing, &toolchain, err) < 0)))
		return -1;
	if (missing) {
		(void)error_set(err, ERROR_PREREQUISITES, "not installed: %s",
				toolchain.missing);
		return hint(&shopping, missing, err);
	}

	*ret_toolchain = toolchain;
	return 0;
}
