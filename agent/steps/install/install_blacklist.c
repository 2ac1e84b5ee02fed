/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that keeps foreign drivers from the GPU at boot. */

#include "steps/install/install.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"

#define INITRAMFS_S 900
#define LISTING_MAX (16u << 20)
#define NAMES_MAX 1024

static const char blacklist[] =
	"# Written by vgpu-guest-agent: these drivers would take the GPU from NVIDIA's.\n"
	"blacklist nouveau\n"
	"blacklist nova_core\n"
	"blacklist nova_drm\n"
	"options nouveau modeset=0\n";

/* How a family of systems looks into an initramfs and makes one. */
struct family {
	const char *prefix, *suffix; /* of the files in /boot */
	const char *list, *make;
};

static const struct family families[] = {
	{ "initrd.img-", "", "lsinitramfs", "update-initramfs" },
	{ "initramfs-", ".img", "lsinitrd", "dracut" },
};

/* One initramfs of the system. */
struct initramfs {
	const struct family *family;
	char path[256];
	char release[KERNEL_RELEASE_MAX];
};

/* Whether it would load nouveau: the module is in it and our file is not. */
static int has_nouveau(struct runner *runner, const struct root *root,
		       const struct initramfs *image, bool *ret_has, struct error *err)
{
	char program[128];
	const char *argv[] = { program, image->path, NULL };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = {
		.argv = argv,
		.timeout_s = INITRAMFS_S,
		.output_limit = LISTING_MAX,
	};

	*ret_has = false;
	if (!run_find(root, image->family->list, program, sizeof(program)))
		return 0;
	if (run_command(runner, root, &run, &result, err) < 0)
		return -1;
	*ret_has = strstr(result.output, "/nouveau.ko") &&
		   !strstr(result.output, &PATHS_BLACKLIST[1]);
	return 0;
}

static int make_anew(struct runner *runner, const struct root *root,
		     const struct initramfs *image, int log_fd, struct error *err)
{
	char program[128];
	const char *debian[] = { program, "-u", "-k", image->release, NULL };
	const char *dracut[] = { program, "--force", image->path, image->release, NULL };
	struct run run = {
		.argv = strcmp(image->family->make, "dracut") == 0 ? dracut : debian,
		.timeout_s = INITRAMFS_S,
		.log_fd = log_fd,
	};

	if (!run_find(root, image->family->make, program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "%s is not installed",
				 image->family->make);
	if (run_checked(runner, root, &run, err) < 0) {
		if (!err->interrupted)
			(void)error_recode(err, ERROR_INSTALL);
		return error_prefix(err, "taking nouveau out of %s", image->path);
	}
	return 0;
}

/* Reads the kernel out of "initrd.img-6.1.0-37-amd64"; false: another family's name. */
static bool read_name(const struct family *family, const char *name,
		      struct initramfs *ret_image)
{
	struct span release = span_of(name);

	if (!span_skip(&release, family->prefix) || !span_ends(release, family->suffix))
		return false;
	release.len -= strlen(family->suffix);
	if (!kernel_release_valid(release) ||
	    !text_format(ret_image->path, sizeof(ret_image->path), "/boot/%s", name))
		return false;
	ret_image->family = family;
	return span_copy(release, ret_image->release, sizeof(ret_image->release));
}

/* A rescue image has no kernel of its own in /lib/modules. */
static bool has_modules(const struct root *root, const char *release)
{
	char path[128];
	struct stat st;

	return text_format(path, sizeof(path), "/lib/modules/%s", release) &&
	       root_stat(root, path, &st);
}

static int look_after(struct runner *runner, const struct root *root,
		      const struct initramfs *image, int log_fd, bool *changed,
		      struct error *err)
{
	bool has = false;

	if (!has_modules(root, image->release))
		return 0;
	if (has_nouveau(runner, root, image, &has, err) < 0)
		return -1;
	if (!has)
		return 0;
	*changed = true;
	return make_anew(runner, root, image, log_fd, err);
}

int install_blacklist(struct runner *runner, const struct root *root, int log_fd,
		      bool *ret_changed, struct error *err)
{
	cleanup_strv char **names = NULL;
	bool changed = false;

	if (root_mkdir(root, "/etc/modprobe.d", 0755, err) < 0 ||
	    file_update(root, PATHS_BLACKLIST, span_of(blacklist), 0644, &changed, err) <
		    0 ||
	    root_list(root, "/boot", NAMES_MAX, &names, err) < 0)
		return -1;

	for (char **name = names; *name; name++) {
		struct initramfs image;

		for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
			if (read_name(&families[i], *name, &image) &&
			    look_after(runner, root, &image, log_fd, &changed, err) < 0)
				return -1;
		}
	}
	*ret_changed = changed;
	return 0;
}
