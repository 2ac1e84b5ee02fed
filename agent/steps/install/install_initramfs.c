/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The part of steps/install.h that looks into the initramfs of each kernel: what is in it
 * is loaded before anything of the system can have a say.
 */

#include "steps/install/install.h"

#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/text.h"
#include "model/kernel/initramfs.h"

#define INITRAMFS_S 900
#define LISTING_MAX (16u << 20)
#define NAMES_MAX 1024
#define DEPTH_MAX 3

/* One initramfs of the system. */
struct image {
	char path[256];
	char release[KERNEL_RELEASE_MAX];
};

/* Which image is looked at, and whom the looking is for. */
struct work {
	struct runner *runner;
	const struct root *root;
	int log_fd;
	struct install_initramfs result;
};

/* The first note stays: one line is enough to begin with. */
static void note(struct work *work, const struct image *image, const char *words)
{
	if (!work->result.warning[0])
		(void)text_format(work->result.warning, sizeof(work->result.warning),
				  "%s: %s", image->path, words);
}

/* The first program that is there, from a row on: it is set to that row; NULL: none. */
static const struct initramfs_tool *find_tool(const struct work *work,
					      const struct image *image, bool maker,
					      size_t *row, char *ret_path, size_t size)
{
	const struct initramfs_tool *tool;

	for (; (tool = initramfs_tool(*row, image->path)) != NULL; (*row)++) {
		const char *program = maker ? tool->make : tool->list;

		if (program && run_find(work->root, program, ret_path, size))
			break;
	}
	return tool;
}

/* Seconds since 1970 of the last change of a file, also of its name; 0: not there. */
static int64_t changed_at(const struct root *root, const char *path)
{
	struct stat st;

	if (!root_stat(root, path, &st))
		return 0;
	return st.st_mtim.tv_sec > st.st_ctim.tv_sec ? st.st_mtim.tv_sec
						     : st.st_ctim.tv_sec;
}

/* A module of nvidia's in there is right as long as it is the one of the system. */
static bool is_old(const struct work *work, const struct image *image, const char *module)
{
	int64_t module_at = changed_at(work->root, module);

	return module_at == 0 || module_at > changed_at(work->root, image->path);
}

/* What is in it; false with a note: nobody can say. */
static int look(struct work *work, const struct image *image,
		struct initramfs_content *ret_content, bool *ret_known, struct error *err)
{
	size_t row = 0;
	char program[128];
	const char *argv[] = { program, image->path, NULL };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = { .argv = argv,
			   .timeout_s = INITRAMFS_S,
			   .output_limit = LISTING_MAX };

	*ret_known = false;
	if (!find_tool(work, image, false, &row, program, sizeof(program))) {
		note(work, image,
		     "not known whether it loads nouveau or an old nvidia: no program to "
		     "look into it is installed");
		return 0;
	}
	if (run_command(work->runner, work->root, &run, &result, err) < 0)
		return -1;
	*ret_known =
		result.status == 0 && !result.signal && !result.timed_out &&
		initramfs_read((struct span){ result.output, result.size }, ret_content);
	if (!*ret_known)
		note(work, image,
		     "not known whether it loads nouveau or an old nvidia: it could not "
		     "be looked into");
	return 0;
}

/* What must not be in it; NULL: nothing. */
static const char *find_fault(const struct work *work, const struct image *image,
			      const struct initramfs_content *content)
{
	if (content->foreign[0] && !content->blacklist)
		return content->foreign;
	if (content->nvidia[0] && is_old(work, image, content->nvidia))
		return "nvidia";
	return NULL;
}

/* By the first program from a row on; where there is none, `ret_made` is false. */
static int make_anew(struct work *work, const struct image *image, const char *fault,
		     size_t *row, bool *ret_made, struct error *err)
{
	const char *const folders[] = { image->path, "/tmp", "/var/tmp", NULL };
	const struct initramfs_tool *tool;
	const char *argv[INITRAMFS_ARGV_MAX];
	char program[128];
	struct run run = { .argv = argv,
			   .timeout_s = INITRAMFS_S,
			   .log_fd = work->log_fd };

	tool = find_tool(work, image, true, row, program, sizeof(program));
	*ret_made = tool != NULL;
	if (!tool)
		return 0;
	initramfs_argv(tool, program, image->path, image->release, argv);
	if (run_checked(work->runner, work->root, &run, err) < 0) {
		if (!err->interrupted)
			(void)error_recode(err, ERROR_INSTALL);
		(void)error_prefix(err, "taking %s out of %s", fault, image->path);
		return room_explain(work->root, folders, err);
	}
	work->result.changed = true;
	return 0;
}

/* A rescue image has no kernel of its own in /lib/modules. */
static bool has_modules(const struct root *root, const char *release)
{
	char path[128];
	struct stat st;

	return kernel_release_valid(span_of(release)) &&
	       text_format(path, sizeof(path), "/lib/modules/%s", release) &&
	       root_stat(root, path, &st);
}

static int look_after(struct work *work, const struct image *image, struct error *err)
{
	struct initramfs_content content;
	const char *fault;
	char words[160];
	bool known, made = true;

	if (look(work, image, &content, &known, err) < 0)
		return -1;
	fault = known ? find_fault(work, image, &content) : NULL;
	/* update-initramfs may be another program's by name alone: then that one is told.
	 */
	for (size_t row = 0; fault && made; row++) {
		if (make_anew(work, image, fault, &row, &made, err) < 0)
			return -1;
		if (made && look(work, image, &content, &known, err) < 0)
			return -1;
		fault = known ? find_fault(work, image, &content) : NULL;
	}
	if (fault) {
		(void)text_format(words, sizeof(words),
				  "the module %s stays in it and would be loaded at the "
				  "next boot",
				  fault);
		note(work, image, words);
	}
	return 0;
}

/* mkinitcpio's name is that of the kernel's package: /lib/modules/REL/pkgbase has it. */
static bool find_by_package(const struct root *root, char *release, size_t size)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **names = NULL;

	if (root_list(root, "/lib/modules", NAMES_MAX, &names, &ignored) < 0)
		return false;
	for (char **name = names; *name; name++) {
		cleanup_free char *text = NULL;
		char path[256];
		size_t length;

		if (text_format(path, sizeof(path), "/lib/modules/%s/pkgbase", *name) &&
		    file_read(root, path, 256, &text, &length, &ignored) == 0 &&
		    span_equals(span_trim((struct span){ text, length }), release))
			return text_copy(release, size, *name);
	}
	return false;
}

/* One file that may be an initramfs by its name. */
static int consider(struct work *work, const char *path, struct error *err)
{
	struct image image;

	if (!text_copy(image.path, sizeof(image.path), path) ||
	    !initramfs_release(path, image.release, sizeof(image.release)))
		return 0;
	if (!has_modules(work->root, image.release) &&
	    (!find_by_package(work->root, image.release, sizeof(image.release)) ||
	     !has_modules(work->root, image.release)))
		return 0;
	return look_after(work, &image, err);
}

/* The names of a folder and of those below: /boot/efi/ID/REL/initrd is the deepest. */
static int walk(struct work *work, const char *dir, int depth, struct error *err)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **names = NULL;

	/* A folder that cannot be read, or of thousands of files, is none of these. */
	if (root_list(work->root, dir, NAMES_MAX, &names, &ignored) < 0)
		return 0;
	for (char **name = names; *name; name++) {
		char path[256];
		struct stat st;

		if (!text_format(path, sizeof(path), "%s/%s", dir, *name) ||
		    !root_stat(work->root, path, &st))
			continue;
		if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX) {
			if (walk(work, path, depth + 1, err) < 0)
				return -1;
		} else if (S_ISREG(st.st_mode) && consider(work, path, err) < 0) {
			return -1;
		}
	}
	return 0;
}

int install_initramfs(struct runner *runner, const struct root *root, int log_fd,
		      struct install_initramfs *ret_result, struct error *err)
{
	struct work work = { .runner = runner, .root = root, .log_fd = log_fd };

	if (walk(&work, "/boot", 0, err) < 0 || walk(&work, "/efi", 0, err) < 0)
		return -1;
	*ret_result = work.result;
	return 0;
}
