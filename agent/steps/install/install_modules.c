/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that puts kernel modules in place. */

#include "steps/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/detect/module_chosen.h"

#define DEPMOD_S 300
#define NAMES_MAX 256

static bool is_built(const struct build_result *build, const char *name)
{
	for (size_t i = 0; i < build->count; i++) {
		if (strcmp(text_base_name(build->modules[i]), name) == 0)
			return true;
	}
	return false;
}

/* nvidia.ko, or (not `main`) all but that. */
static int copy_modules(const struct root *root, const struct build_result *build,
			bool main, const char *dir, bool *changed, struct error *err)
{
	for (size_t i = 0; i < build->count; i++) {
		char to[384];

		if ((strcmp(text_base_name(build->modules[i]), "nvidia.ko") == 0) != main)
			continue;
		if (!text_format(to, sizeof(to), "%s/%s", dir,
				 text_base_name(build->modules[i])))
			return error_set(err, ERROR_INTERNAL, "%s is too long", dir);
		if (file_same(root, build->modules[i], to))
			continue;
		if (file_copy(root, build->modules[i], to, err) < 0)
			return -1;
		*changed = true;
	}
	return 0;
}

static int remove_others(const struct root *root, const struct build_result *build,
			 const char *dir, bool *changed, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, dir, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[384];

		if (is_built(build, *name))
			continue;
		if (!text_format(path, sizeof(path), "%s/%s", dir, *name))
			return error_set(err, ERROR_INTERNAL, "%s is too long", dir);
		if (root_remove_tree(root, path, err) < 0)
			return -1;
		*changed = true;
	}
	return 0;
}

int install_modules_index(struct runner *runner, const struct root *root,
			  const char *release, struct error *err)
{
	char program[128];
	const char *argv[] = { program, release, NULL };
	struct run run = { .argv = argv, .timeout_s = DEPMOD_S };
	cleanup_fd int fd = -1;
	char dir[128];

	if (!run_find(root, "depmod", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "depmod is not installed");
	if (run_checked(runner, root, &run, err) < 0)
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);

	/* depmod syncs none of its indexes: a power cut could leave them empty. */
	text_path(dir, sizeof(dir), "/lib/modules/%s", release);
	fd = root_open_at(root, dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	if (syncfs(fd) < 0)
		return error_set_errno(err, errno, "syncing %s", dir);
	return 0;
}

/* Of several modules of one name depmod's own rules choose: it must be ours. */
static int check_chosen(const char *release, const char *path, struct error *err)
{
	if (text_ends(path, "/" PATHS_MODULES "/nvidia.ko"))
		return 0;
	(void)error_set(err, ERROR_INSTALL, "modprobe would load %s for kernel %s",
			path[0] ? path : "no nvidia module", release);
	return path[0] ? error_hint(err, "remove that module, it is in the way: %s", path)
		       : -1;
}

int install_modules(struct runner *runner, const struct root *root,
		    const struct kernel *kernel, const struct build_result *build,
		    bool *ret_changed, struct error *err)
{
	char dir[256], chosen[MODULE_CHOSEN_MAX] = "";
	bool changed = false;
	struct error why = ERROR_INIT;

	text_path(dir, sizeof(dir), "/lib/modules/%s/%s", kernel->release, PATHS_MODULES);
	/* The next run goes by the version of nvidia.ko: that comes last. */
	if (root_mkdir(root, dir, 0755, err) < 0 ||
	    remove_others(root, build, dir, &changed, err) < 0 ||
	    copy_modules(root, build, false, dir, &changed, err) < 0 ||
	    copy_modules(root, build, true, dir, &changed, err) < 0 ||
	    module_chosen(runner, root, kernel->release, "filename", chosen, err) < 0)
		return -1;
	/* The index may lack what an interrupted run has copied. */
	if (!changed && check_chosen(kernel->release, chosen, &why) == 0) {
		*ret_changed = false;
		return 0;
	}

	if (install_modules_index(runner, root, kernel->release, err) < 0 ||
	    module_chosen(runner, root, kernel->release, "filename", chosen, err) < 0 ||
	    check_chosen(kernel->release, chosen, err) < 0)
		return -1;
	*ret_changed = true;
	return 0;
}
