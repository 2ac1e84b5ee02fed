/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/remove.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"
#include "model/token.h"

#define UNIT_MARK "# Written by vgpu-guest-agent"
#define DEPMOD_S 300
#define SYSTEMCTL_S 60
#define UNLOAD_S 120
#define NAMES_MAX 1000
#define UNIT_MAX (64u << 10)

/* In the order in which they can go. */
static const char *const modules[] = { "nvidia_drm", "nvidia_modeset", "nvidia_peermem",
				       "nvidia_uvm", "nvidia" };

static int remove_if_there(const struct root *root, const char *path, bool *changed,
			   struct error *err)
{
	struct stat st;

	if (!root_stat(root, path, &st))
		return 0;
	if (root_remove_tree(root, path, err) < 0)
		return -1;
	*changed = true;
	return 0;
}

int remove_loaded(struct runner *runner, const struct root *root, bool *ret_gone,
		  struct error *err)
{
	bool gone = true;

	for (size_t i = 0; i < ARRAY_SIZE(modules); i++) {
		cleanup(run_result_done) struct run_result result = { 0 };
		char program[128], path[128];
		const char *argv[] = { program, modules[i], NULL };
		struct run run = { .argv = argv, .timeout_s = UNLOAD_S };
		struct stat st;

		(void)text_format(path, sizeof(path), "/sys/module/%s/initstate",
				  modules[i]);
		if (!root_stat(root, path, &st) ||
		    !run_find(root, "rmmod", program, sizeof(program)))
			continue;
		if (run_command(runner, root, &run, &result, err) < 0)
			return -1;
		gone &= result.status == 0 && result.signal == 0;
	}
	*ret_gone = gone;
	return 0;
}

static int run_depmod(struct runner *runner, const struct root *root, const char *release,
		      struct error *err)
{
	char program[128];
	const char *argv[] = { program, release, NULL };
	struct run run = { .argv = argv, .timeout_s = DEPMOD_S };

	if (!run_find(root, "depmod", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "depmod is not installed");
	return run_checked(runner, root, &run, err);
}

int remove_modules(struct runner *runner, const struct root *root, bool *ret_changed,
		   struct error *err)
{
	cleanup_strv char **releases = NULL;
	bool any = false;

	if (root_list(root, "/lib/modules", NAMES_MAX, &releases, err) < 0)
		return -1;
	for (char **release = releases; *release; release++) {
		bool changed = false;
		char path[512];

		if (!text_format(path, sizeof(path), "/lib/modules/%s/" PATHS_MODULES,
				 *release) ||
		    remove_if_there(root, path, &changed, err) < 0)
			return -1;
		if (changed && run_depmod(runner, root, *release, err) < 0)
			return -1;
		any |= changed;
	}
	*ret_changed = any;
	return 0;
}

static bool is_our_unit(const struct root *root)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	return file_read(root, PATHS_UNIT_FILE, UNIT_MAX, &text, &size, &ignored) == 0 &&
	       text_starts(text, UNIT_MARK);
}

/* systemd would go on with the unit that it has read. */
static int reload_systemd(struct runner *runner, const struct root *root,
			  struct error *err)
{
	char program[128];
	const char *argv[] = { program, "daemon-reload", NULL };
	struct run run = { .argv = argv, .timeout_s = SYSTEMCTL_S };
	struct stat st;

	if (!root_stat(root, "/run/systemd/system", &st) ||
	    !run_find(root, "systemctl", program, sizeof(program)))
		return 0;
	return run_checked(runner, root, &run, err);
}

int remove_sources(const struct root *root, bool *ret_changed, struct error *err)
{
	*ret_changed = false;
	return remove_if_there(root, PATHS_SOURCES, ret_changed, err);
}

int remove_files(struct runner *runner, const struct root *root, bool *ret_changed,
		 struct error *err)
{
	bool changed = false, unit = false;
	struct stat st;

	/* The link first: without the unit nobody would know that it is ours. */
	if (is_our_unit(root) &&
	    (remove_if_there(root, PATHS_UNIT_LINK, &unit, err) < 0 ||
	     remove_if_there(root, PATHS_UNIT_FILE, &unit, err) < 0))
		return -1;
	/* What the driver's uninstaller leaves behind of an enabled unit of its own. */
	if (!root_stat(root, PATHS_UNIT_FILE, &st) &&
	    !root_stat(root, "/lib/systemd/system/nvidia-gridd.service", &st) &&
	    remove_if_there(root, PATHS_UNIT_LINK, &unit, err) < 0)
		return -1;
	if (remove_if_there(root, PATHS_BLACKLIST, &changed, err) < 0 ||
	    remove_if_there(root, PATHS_SOURCES, &changed, err) < 0)
		return -1;
	*ret_changed = changed || unit;
	return unit ? reload_systemd(runner, root, err) : 0;
}

int remove_configuration(const struct root *root, bool written, bool *ret_changed,
			 const char **ret_what, struct error *err)
{
	bool changed = false;
	struct stat st;

	/* The backup goes with the state: without it this would be taken for ours. */
	if (root_stat(root, PATHS_BACKUP_CONF, &st)) {
		changed = !file_same(root, PATHS_BACKUP_CONF, PATHS_GRIDD_CONF);
		if (changed &&
		    (root_mkdir(root, PATHS_NVIDIA, 0755, err) < 0 ||
		     file_copy(root, PATHS_BACKUP_CONF, PATHS_GRIDD_CONF, err) < 0))
			return -1;
		*ret_what = "gridd.conf as it was before";
		*ret_changed = changed;
		return 0;
	}
	if (written && remove_if_there(root, PATHS_GRIDD_CONF, &changed, err) < 0)
		return -1;
	*ret_what = changed ? "gridd.conf removed" : "nothing of ours in gridd.conf";
	*ret_changed = changed;
	return 0;
}

static int bring_back(const struct root *root, const char *folder, bool *changed,
		      struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_TOKEN_BACKUP, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char from[512], to[512];

		/* Former tokens of ours, what token_reject() and token_keep_licensed()
		 * keep; and ".1": displaced twice. */
		if (text_starts(*name, "client_configuration_token.tok") ||
		    strcmp(*name, "rejected.tok") == 0 ||
		    strcmp(*name, "licensed.tok") == 0 || !text_ends(*name, ".tok"))
			continue;
		if (!text_format(from, sizeof(from), PATHS_TOKEN_BACKUP "/%s", *name) ||
		    !text_format(to, sizeof(to), "%s/%s", folder, *name))
			continue;
		if (file_copy(root, from, to, err) < 0 ||
		    root_unlink(root, from, err) < 0)
			return -1;
		*changed = true;
	}
	return 0;
}

int remove_token(const struct root *root, const char *folder, bool *ret_changed,
		 struct error *err)
{
	char path[512];
	bool changed = false;

	if (!text_format(path, sizeof(path), "%s/" PATHS_TOKEN_NAME, folder))
		return error_set_errno(err, ENAMETOOLONG, "naming the token");
	if (remove_if_there(root, path, &changed, err) < 0 ||
	    bring_back(root, folder, &changed, err) < 0)
		return -1;
	*ret_changed = changed;
	return 0;
}
