/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/remove.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/license/token.h"
#include "model/paths.h"
#include "steps/depmod.h"
#include "steps/intent.h"

#define UNIT_MARK "# Written by vgpu-guest-agent"
#define SYSTEMCTL_S 60
#define UNLOAD_S 120
#define NAMES_MAX 1000
#define UNIT_MAX (64u << 10)

/* In the order in which they can go. */
static const char *const modules[] = { "nvidia_drm", "nvidia_modeset", "nvidia_peermem",
				       "nvidia_uvm", "nvidia" };

/* With what a writer that was killed has left beside it. */
static int remove_if_there(const struct root *root, const char *path, bool *changed,
			   struct error *err)
{
	struct stat st;
	bool there;

	file_discard_new(root, path);
	if (root_look(root, path, &there, &st, err) < 0)
		return -1;
	if (!there)
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
		bool there;

		text_path(path, sizeof(path), "/sys/module/%s/initstate", modules[i]);
		if (root_exists(root, path, &there, err) < 0)
			return -1;
		if (!there || !run_find(root, "rmmod", program, sizeof(program)))
			continue;
		if (run_command(runner, root, &run, &result, err) < 0)
			return -1;
		gone &= result.status == 0 && result.signal == 0;
	}
	*ret_gone = gone;
	return 0;
}

int remove_modules(struct runner *runner, const struct root *root, bool *ret_changed,
		   struct error *err)
{
	cleanup_strv char **releases = NULL;
	bool any = false;

	if (root_list(root, "/lib/modules", NAMES_MAX, &releases, err) < 0)
		return -1;
	for (char **release = releases; *release; release++) {
		bool there, owed, changed = false;
		char path[512];

		if (!text_format(path, sizeof(path), "/lib/modules/%s/" PATHS_MODULES,
				 *release))
			return error_set_errno(err, ENAMETOOLONG, "removing modules");
		if (root_exists(root, path, &there, err) < 0 ||
		    depmod_is_owed(root, *release, &owed, err) < 0)
			return -1;
		if (!there && !owed)
			continue;
		if (depmod_owe(root, *release, err) < 0 ||
		    remove_if_there(root, path, &changed, err) < 0 ||
		    depmod_run(runner, root, *release, err) < 0)
			return -1;
		any = true;
	}
	*ret_changed = any;
	return 0;
}

static int is_our_unit(const struct root *root, bool *ret_is, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	*ret_is = false;
	if (file_read(root, PATHS_UNIT_FILE, UNIT_MAX, &text, &size, &why) == 0) {
		*ret_is = text_starts(text, UNIT_MARK);
		return 0;
	}
	/* Not there, or not a file that we would write. */
	if (!why.errnum || why.errnum == ENOENT || why.errnum == ENOTDIR)
		return 0;
	*err = why;
	return -1;
}

/* systemd would go on with the unit that it has read. */
static int reload_systemd(struct runner *runner, const struct root *root,
			  struct error *err)
{
	char program[128];
	const char *argv[] = { program, "daemon-reload", NULL };
	struct run run = { .argv = argv, .timeout_s = SYSTEMCTL_S };

	if (!run_find_systemctl(root, program, sizeof(program)))
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
	bool changed = false, unit = false, there, elsewhere, is_ours;
	struct stat st;

	file_discard_new(root, PATHS_UNIT_FILE); /* also where the unit is none of ours */
	if (is_our_unit(root, &is_ours, err) < 0)
		return -1;
	/* The link first: without the unit nobody would know that it is ours. */
	if (is_ours && (remove_if_there(root, PATHS_UNIT_LINK, &unit, err) < 0 ||
			remove_if_there(root, PATHS_UNIT_FILE, &unit, err) < 0))
		return -1;
	/* What the driver's uninstaller leaves behind of an enabled unit of its own. */
	if (root_look(root, PATHS_UNIT_FILE, &there, &st, err) < 0 ||
	    root_look(root, "/lib/systemd/system/nvidia-gridd.service", &elsewhere, &st,
		      err) < 0)
		return -1;
	if (!there && !elsewhere &&
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
	const char *backup = intent_backup(INTENT_CONF);
	struct intent_note note = { 0 };
	bool changed = false, kept, same;
	struct stat st;

	if (intent_look(root, INTENT_CONF, PATHS_GRIDD_CONF, &note, err) < 0 ||
	    root_look(root, backup, &kept, &st, err) < 0)
		return -1;
	/* The backup goes with the state: without it this would be taken for ours. */
	if (kept) {
		if (file_compare(root, backup, PATHS_GRIDD_CONF, &same, err) < 0)
			return -1;
		changed = !same;
		if (changed && (root_mkdir(root, PATHS_NVIDIA, 0755, err) < 0 ||
				file_copy(root, backup, PATHS_GRIDD_CONF, err) < 0))
			return -1;
		*ret_what = "gridd.conf as it was before";
		*ret_changed = changed;
		return 0;
	}
	if ((note.known ? !note.was_there : written) &&
	    remove_if_there(root, PATHS_GRIDD_CONF, &changed, err) < 0)
		return -1;
	*ret_what = changed ? "gridd.conf removed" : "nothing of ours in gridd.conf";
	*ret_changed = changed;
	return 0;
}

/* Tokens of ours that were replaced, or are kept for a way back; half written ones. */
static bool is_ours(const char *name)
{
	return name[0] == '.' || text_starts(name, "former.tok") ||
	       strcmp(name, "rejected.tok") == 0 || strcmp(name, "licensed.tok") == 0;
}

/*
 * The file `name` of the kept ones, back to the folder, and out of the backup only then.
 * What somebody has put there since under that name stays.
 */
static int bring_one_back(const struct root *root, const char *folder, const char *name,
			  bool *changed, struct error *err)
{
	char from[512], to[512];
	bool there, same;
	struct stat st;

	if (!text_format(from, sizeof(from), PATHS_TOKEN_BACKUP "/%s", name) ||
	    !text_format(to, sizeof(to), "%s/%s", folder, name))
		return error_set_errno(err, ENAMETOOLONG, "bringing %s back", name);
	if (root_look(root, to, &there, &st, err) < 0 ||
	    file_compare(root, from, to, &same, err) < 0)
		return -1;
	if (there && !same)
		return 0;
	if (!there && (root_mkdir(root, folder, 0755, err) < 0 ||
		       file_copy(root, from, to, err) < 0))
		return -1;
	*changed |= !there;
	return root_unlink(root, from, err);
}

/* "x.tok.1" beside "x.tok": displaced later. */
static bool is_second(char *const *names, const char *name)
{
	const char *dot = strrchr(name, '.');
	uint64_t number;

	if (!dot || !span_to_u64(span_of(dot + 1), &number))
		return false;
	if (dot - name > 4 && strncmp(dot - 4, ".tok", 4) == 0)
		return true;
	for (; *names; names++) {
		if (strlen(*names) == (size_t)(dot - name) &&
		    strncmp(*names, name, (size_t)(dot - name)) == 0)
			return true;
	}
	return false;
}

/* `named`: a token of others had our token's name. */
static int bring_back(const struct root *root, const char *folder, bool named,
		      bool *changed, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_TOKEN_BACKUP, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		/* What had our name before there were notes may have been ours, too. */
		if (is_ours(*name) || is_second(names, *name) ||
		    (!named && strcmp(*name, strrchr(PATHS_TOKEN, '/') + 1) == 0))
			continue;
		if (bring_one_back(root, folder, *name, changed, err) < 0)
			return -1;
	}
	return 0;
}

int remove_token(const struct root *root, const char *folder, bool written,
		 bool *ret_changed, struct error *err)
{
	char path[512];
	struct intent_note note = { 0 };
	bool changed = false;

	if (!text_format(path, sizeof(path), "%s/" PATHS_TOKEN_NAME, folder))
		return error_set_errno(err, ENAMETOOLONG, "naming the token");
	if (intent_look(root, INTENT_TOKEN, path, &note, err) < 0)
		return -1;
	if ((note.known ? note.ours : written) &&
	    remove_if_there(root, path, &changed, err) < 0)
		return -1;
	if (bring_back(root, folder, note.was_there, &changed, err) < 0)
		return -1;
	*ret_changed = changed;
	return 0;
}
