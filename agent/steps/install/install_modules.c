/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/install.h that puts kernel modules in place. */

#include "steps/install/install.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/depmod.h"
#include "steps/detect/module_chosen.h"

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
	bool changed = false, owed;
	struct error why = ERROR_INIT;

	text_path(dir, sizeof(dir), "/lib/modules/%s/%s", kernel->release, PATHS_MODULES);
	/* The next run goes by the version of nvidia.ko: that comes last. */
	if (depmod_is_owed(root, kernel->release, &owed, err) < 0 ||
	    depmod_owe(root, kernel->release, err) < 0 ||
	    root_mkdir(root, dir, 0755, err) < 0 ||
	    remove_others(root, build, dir, &changed, err) < 0 ||
	    copy_modules(root, build, false, dir, &changed, err) < 0 ||
	    copy_modules(root, build, true, dir, &changed, err) < 0 ||
	    module_chosen(runner, root, kernel->release, "filename", chosen, err) < 0)
		return -1;
	/* The index may lack what an interrupted run has copied. */
	if (!changed && !owed && check_chosen(kernel->release, chosen, &why) == 0) {
		*ret_changed = false;
		return depmod_forgive(root, kernel->release, err);
	}

	if (depmod_run(runner, root, kernel->release, err) < 0 ||
	    module_chosen(runner, root, kernel->release, "filename", chosen, err) < 0 ||
	    check_chosen(kernel->release, chosen, err) < 0)
		return -1;
	*ret_changed = true;
	return 0;
}
