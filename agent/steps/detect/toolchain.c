/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/toolchain_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/headers.h"
#include "base/text.h"
#include "model/kernel/family.h"

#define CONFIG_MAX (4u << 20)
#define ASK_S 60
#define NAME_MAX_LEN 128

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
static int read_kernel(const struct root *root, struct kernel *kernel, struct error *err)
{
	char path[128];
	bool there;

	if (kernel->headers)
		return 0;
	text_path(path, sizeof(path), "/lib/modules/%s/build", kernel->release);
	if (headers_whole(root, path, &kernel->headers, err) < 0)
		return -1;
	read_compiler(root, kernel);
	if (!kernel->headers)
		return 0;

	(void)text_copy(kernel->build, sizeof(kernel->build), path);
	(void)text_copy(kernel->source, sizeof(kernel->source), path);
	/* Debian keeps what all flavours share in a folder of its own. */
	text_path(path, sizeof(path), "/lib/modules/%s/source", kernel->release);
	if (headers_look(root, path, "Makefile", &there, err) < 0)
		return -1;
	if (there)
		(void)text_copy(kernel->source, sizeof(kernel->source), path);
	return 0;
}

/*
 * Whether a program starts and says what it is asked; its first words. A system that lets
 * nobody ask (no root, and the programs are in another tree) is believed by its names.
 */
static bool answers(struct toolchain_ask *ask, const char *program, const char *question,
		    char *ret_words, size_t size)
{
	const char *argv[] = { program, question, NULL };
	struct run run = { .argv = argv, .timeout_s = ASK_S, .output_limit = 4096 };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct error err = ERROR_INIT;
	struct span rest, line = { "", 0 };

	ret_words[0] = '\0';
	if (ask->err->interrupted)
		return false;
	if (run_question(ask->runner, ask->root, &run, 0, &result, &err) < 0) {
		if (err.interrupted)
			*ask->err = err;
		else if (err.errnum != EPERM && !ask->why[0])
			(void)text_format(ask->why, sizeof(ask->why), "%s", err.text);
		return err.errnum == EPERM && !err.interrupted;
	}
	rest = (struct span){ .at = result.output, .len = result.size };
	(void)span_next_line(&rest, &line);
	(void)span_copy(span_trim(line), ret_words, size);
	ask->why[0] = '\0';
	return true;
}

/* "12", "11.4.1" -> their major version; 0: no number. */
static int major_of(const char *words)
{
	struct span rest = span_of(words), head = { "", 0 }, tail;
	uint64_t number;

	(void)span_split(rest, '.', &head, &tail);
	return span_to_u64(head, &number) && number < 1000 ? (int)number : 0;
}

/* The path of a program; a name from "/" on is one already. */
static bool find_program(const struct root *root, const char *name, char *ret_path,
			 size_t size)
{
	struct error ignored = ERROR_INIT;

	if (name[0] != '/')
		return run_find(root, name, ret_path, size) != NULL;
	cleanup_fd int fd = root_open_at(root, name, O_PATH, 0, &ignored);
	return fd >= 0 && text_copy(ret_path, size, name);
}

/*
 * The compiler of the major version that built the kernel, whatever it is called here: it
 * says itself which one it is. What is not known cannot be demanded.
 */
static bool find_compiler(struct toolchain_ask *ask, char *ret_path, size_t size)
{
	const struct kernel *kernel = ask->kernel;
	const char *names = kernel->clang ? FAMILY_CLANG : FAMILY_GCC;

	for (size_t i = 0; i < family_alternatives(names); i++) {
		char name[NAME_MAX_LEN], words[64];
		int major;

		if (!family_expand(names, i, kernel, name, sizeof(name)) ||
		    !find_program(ask->root, name, ret_path, size) ||
		    !answers(ask, ret_path, "-dumpversion", words, sizeof(words)))
			continue;
		major = major_of(words);
		if (kernel->compiler_major == 0 || major == kernel->compiler_major ||
		    (words[0] == '\0' && i + 1 < family_alternatives(names)))
			return true;
	}
	return false;
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

static bool find_tool(struct toolchain_ask *ask, const char *name, char *ret_path,
		      size_t size)
{
	char words[64];

	return find_program(ask->root, name, ret_path, size) &&
	       answers(ask, ret_path, "--version", words, sizeof(words));
}

static bool find_linker(struct toolchain_ask *ask)
{
	char path[128], versioned[32];

	if (!ask->kernel->clang)
		return find_tool(ask, "ld", path, sizeof(path));
	(void)text_format(versioned, sizeof(versioned), "ld.lld-%d",
			  ask->kernel->compiler_major);
	return find_tool(ask, versioned, path, sizeof(path)) ||
	       find_tool(ask, "ld.lld", path, sizeof(path));
}

static void name_part(struct toolchain_ask *ask, struct toolchain *toolchain,
		      const char *what)
{
	size_t used = strlen(toolchain->missing);

	(void)text_format(toolchain->missing + used, sizeof(toolchain->missing) - used,
			  "%s%s%s%s%s", used ? ", " : "", what, ask->why[0] ? " (" : "",
			  ask->why, ask->why[0] ? ")" : "");
	ask->why[0] = '\0';
}

int toolchain_look(struct toolchain_ask *ask, bool dkms, unsigned *ret_missing,
		   struct toolchain *ret_toolchain)
{
	struct kernel *kernel = ask->kernel;
	struct toolchain found = { .missing = "" };
	char words[128];
	unsigned missing = 0;
	bool libc;

	if (read_kernel(ask->root, kernel, ask->err) < 0 ||
	    headers_look(ask->root, "/usr/include", "stdio.h", &libc, ask->err) < 0)
		return -1;
	if (!kernel->headers) {
		missing |= PART_HEADERS;
		(void)text_format(words, sizeof(words), "the headers of kernel %s",
				  kernel->release);
		name_part(ask, &found, words);
	}
	if (!find_tool(ask, "make", found.make, sizeof(found.make))) {
		missing |= PART_MAKE;
		name_part(ask, &found, "make");
		found.make[0] = '\0';
	}
	if (!find_compiler(ask, found.compiler, sizeof(found.compiler))) {
		missing |= PART_COMPILER;
		name_part(ask, &found, compiler_name(kernel, words, sizeof(words)));
		found.compiler[0] = '\0';
	}
	if (!find_linker(ask)) {
		missing |= PART_LINKER;
		name_part(ask, &found, kernel->clang ? "ld.lld" : "ld");
	}
	if (!libc) {
		missing |= PART_LIBC;
		name_part(ask, &found, "/usr/include/stdio.h");
	}
	if (dkms && !run_find(ask->root, "dkms", words, sizeof(words))) {
		missing |= PART_DKMS;
		name_part(ask, &found, "dkms");
	}

	*ret_toolchain = found;
	*ret_missing = missing;
	return ask->err->interrupted ? -1 : 0;
}

int toolchain_find(struct runner *runner, const struct root *root,
		   const struct kernel *kernel, bool dkms,
		   struct toolchain *ret_toolchain, struct error *err)
{
	struct kernel now = *kernel;
	struct toolchain_ask ask = {
		.runner = runner, .root = root, .kernel = &now, .err = err
	};
	unsigned missing;

	if (!kernel_release_valid(span_of(kernel->release)))
		return error_set(err, ERROR_USAGE, "a kernel cannot be called so");
	return toolchain_look(&ask, dkms, &missing, ret_toolchain);
}

int toolchain_version(struct runner *runner, const struct root *root,
		      const struct toolchain *toolchain, char *ret_text, size_t size,
		      struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	const char *argv[] = { toolchain->compiler, "--version", NULL };
	struct run run = { .argv = argv, .timeout_s = ASK_S, .output_limit = 4096 };
	struct span rest, line = { "", 0 };

	if (run_question(runner, root, &run, 0, &result, err) < 0)
		return error_prefix(err, "asking the compiler for its version");
	rest = (struct span){ result.output, result.size };
	(void)span_next_line(&rest, &line);
	(void)span_copy(span_trim(line), ret_text, size);
	text_sanitize(ret_text);
	return ret_text[0] ? 0
			   : error_set(err, ERROR_BUILD, "%s does not say its version",
				       toolchain->compiler);
}
