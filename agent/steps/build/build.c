/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "model/driver/version.h"
#include "model/paths.h"
#include "steps/build/build_make.h"
#include "steps/build/build_tree.h"

#define TOOL_S 120
#define NAMES_MAX 4096

#define STRANGERS_MAX 1000

/* Where one kernel's modules are made and where they lie afterwards. */
struct workshop {
	char work[160];
	char done[160];
};

/* The modules in `dir`, nvidia.ko first. */
static int find_modules(const struct root *root, const char *dir,
			struct build_result *ret_result, struct error *err)
{
	struct build_result found = { .count = 0 };
	cleanup_strv char **names = NULL;

	if (root_list(root, dir, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char *path;

		if (!text_starts(*name, "nvidia") || !text_ends(*name, ".ko"))
			continue;
		if (found.count == BUILD_MODULES_MAX)
			return error_set(err, ERROR_BUILD, "too many modules in %s", dir);
		path = found.modules[found.count];
		if (!text_format(path, sizeof(found.modules[0]), "%s/%s", dir, *name))
			return error_set(err, ERROR_BUILD, "the path %s/%s is too long",
					 dir, *name);
		/* Sorted, "nvidia-" comes before "nvidia.": the one that counts to the
		 * top. */
		if (strcmp(*name, "nvidia.ko") == 0 && found.count > 0) {
			char first[sizeof(found.modules[0])];

			memcpy(first, found.modules[0], sizeof(first));
			memcpy(found.modules[0], path, sizeof(first));
			memcpy(path, first, sizeof(first));
		}
		found.count++;
	}
	if (found.count == 0 || !text_ends(found.modules[0], "/nvidia.ko"))
		return error_set(err, ERROR_BUILD, "make has left no nvidia.ko");

	*ret_result = found;
	return 0;
}

/* nvidia-uvm.ko has 54 MB with its debug information. Not having strip costs only room.
 */
static int strip_modules(struct runner *runner, const struct root *root,
			 const struct build_result *built, struct error *err)
{
	const char *argv[BUILD_MODULES_MAX + 3] = { NULL, "--strip-debug" };
	struct run run = { .argv = argv, .timeout_s = TOOL_S, .output_limit = 4096 };
	char program[128];

	argv[0] = run_find(root, "strip", program, sizeof(program));
	if (!argv[0])
		return 0;
	for (size_t i = 0; i < built->count; i++)
		argv[i + 2] = built->modules[i];
	return build_make_tool(runner, root, &run, "stripping the new modules", err);
}

/* From the work folder to where they wait for the installation. */
static int put_by(const struct root *root, const char *dir, struct build_result *built,
		  struct error *err)
{
	char to[sizeof(built->modules[0])];

	if (root_remove_tree(root, dir, err) < 0 || root_mkdir(root, dir, 0700, err) < 0)
		return -1;
	for (size_t i = 0; i < built->count; i++) {
		if (!text_format(to, sizeof(to), "%s/%s", dir,
				 text_base_name(built->modules[i])))
			return error_set(err, ERROR_INTERNAL, "%s is too long", dir);
		if (root_rename(root, built->modules[i], to, err) < 0)
			return -1;
		memcpy(built->modules[i], to, sizeof(to));
	}
	return 0;
}

static int build_in(struct runner *runner, const struct root *root,
		    const struct build_input *input, const struct workshop *shop,
		    struct build_result *ret_result, struct error *err)
{
	struct build_result built = { .count = 0 };
	char source[256];

	if (!text_format(source, sizeof(source), "%s/%s", input->tree,
			 build_tree_folder(input->open)))
		return error_set(err, ERROR_INTERNAL, "%s is too long", input->tree);
	if (build_tree_copy(runner, root, source, shop->work, err) < 0 ||
	    build_make_modules(runner, root, input, shop->work, err) < 0 ||
	    find_modules(root, shop->work, &built, err) < 0 ||
	    build_make_check(root, input, built.modules[0], err) < 0 ||
	    strip_modules(runner, root, &built, err) < 0 ||
	    put_by(root, shop->done, &built, err) < 0)
		return -1;

	*ret_result = built;
	return 0;
}

/* Work folders that killed runs left, as well as it can be done. */
static void remove_strangers(const struct root *root, const char *dir)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **names = NULL;

	if (root_list(root, dir, STRANGERS_MAX, &names, &ignored) < 0)
		return;
	for (char **name = names; *name; name++) {
		char path[256];

		if ((*name)[0] == '.' &&
		    text_format(path, sizeof(path), "%s/%s", dir, *name) &&
		    root_remove_tree(root, path, &ignored) < 0)
			continue;
	}
}

int build_modules(struct runner *runner, const struct root *root,
		  const struct build_input *input, struct build_result *ret_result,
		  struct error *err)
{
	const char *release = input->kernel->release;
	const char *dir = input->dir ? input->dir : PATHS_BUILD;
	struct error ignored = ERROR_INIT;
	struct workshop shop;
	int result;

	if (!input->kernel->headers || input->toolchain->missing[0])
		return error_set(err, ERROR_PREREQUISITES, "not installed: %s",
				 input->toolchain->missing[0] ? input->toolchain->missing
							      : "kernel headers");
	if (!build_tree_has(root, input->tree, build_tree_folder(input->open)))
		return error_set(err, ERROR_BUILD, "the driver has no folder %s",
				 build_tree_folder(input->open));
	/*
	 * Of this process alone: the compilers of a run that was killed may go on for a
	 * while, and write to the path that they were given.
	 */
	remove_strangers(root, dir);
	if (!text_format(shop.work, sizeof(shop.work), "%s/.%s-%ld", dir, release,
			 (long)getpid()) ||
	    !text_format(shop.done, sizeof(shop.done), "%s/%s", dir, release))
		return error_set(err, ERROR_INTERNAL, "%s is too long", dir);

	result = build_in(runner, root, input, &shop, ret_result, err);
	if (result < 0 && !err->interrupted && !err->hint[0] &&
	    err->code == ERROR_BUILD && input->log_path)
		(void)error_hint(err, "the whole output of make is in %s",
				 input->log_path);
	/* 285 MB; what is left of it the next build removes. */
	if (root_remove_tree(root, shop.work, &ignored) < 0 && result == 0) {
		*err = ignored;
		return -1;
	}
	return result;
}

int build_discard(const struct root *root, struct error *err)
{
	return root_remove_tree(root, PATHS_BUILD, err);
}

/* To guess would change the flavour of a guest whose installer answered last time. */
static int refuse_mute(struct error *err)
{
	if (err->interrupted)
		return -1;
	(void)error_prefix(err, "asking which modules this GPU needs");
	(void)error_recode(err, ERROR_INSTALL);
	return error_hint(err,
			  "the installer must start here: mend what it lacks; "
			  "driver.kernel_module names the modules without the question");
}

/*
 * "open" or "proprietary" from the package's own installer. Before 570.86.16 the
 * installer does not know the option, and says so with status 1.
 */
static int ask_package(struct runner *runner, const struct root *root, const char *tree,
		       bool *ret_known, bool *ret_open, struct error *err)
{
	cleanup(run_result_done) struct run_result result = { 0 };
	char program[256];
	const char *argv[] = { program, "--print-recommended-kernel-module-type", NULL };
	struct run run = {
		.argv = argv,
		.dir = tree,
		.timeout_s = TOOL_S,
		.output_limit = 4096,
	};
	struct span rest, line;

	*ret_known = false;
	if (!text_format(program, sizeof(program), "%s/nvidia-installer", tree))
		return 0;
	if (run_question(runner, root, &run, 1, &result, err) < 0)
		return refuse_mute(err);
	if (result.status != 0)
		return 0;
	rest = span_of(result.output);
	while (span_next_line(&rest, &line)) {
		line = span_trim(line);
		if (span_equals(line, "open") || span_equals(line, "proprietary")) {
			*ret_known = true;
			*ret_open = span_equals(line, "open");
		}
	}
	return 0;
}

int build_flavour(struct runner *runner, const struct root *root,
		  const struct build_choice *choice, bool *ret_open, struct error *err)
{
	bool has_open = build_tree_has(root, choice->tree, build_tree_folder(true));
	bool has_closed = build_tree_has(root, choice->tree, build_tree_folder(false));
	bool open = strcmp(choice->wanted, "open") == 0, known = false;

	if (!has_open && !has_closed)
		return error_set(err, ERROR_BUILD, "the driver has no kernel modules");
	if (open || strcmp(choice->wanted, "proprietary") == 0) {
		if (open ? !has_open : !has_closed) {
			(void)error_set(err, ERROR_BUILD,
					"driver %s has no %s kernel modules",
					choice->version, choice->wanted);
			return error_hint(err, "set driver.kernel_module to \"auto\"");
		}
		*ret_open = open;
		return 0;
	}

	if (ask_package(runner, root, choice->tree, &known, &open, err) < 0)
		return -1;
	if (!known)
		open = version_takes_open(choice->version);
	*ret_open = open ? has_open : !has_closed;
	return 0;
}
