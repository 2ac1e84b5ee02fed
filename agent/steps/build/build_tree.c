/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/build/build_tree.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/driver/version.h"
#include "model/kernel/dkms.h"
#include "model/paths.h"
#include "steps/build/build_make.h"

#define COPY_S 600
#define CONF_MAX (64u << 10)
#define NAMES_MAX 4096

const char *build_tree_folder(bool open)
{
	return open ? "kernel-open" : "kernel";
}

bool build_tree_has(const struct root *root, const char *dir, const char *name)
{
	char path[256];
	struct stat st;

	return text_format(path, sizeof(path), "%s/%s", dir, name) &&
	       root_stat(root, path, &st) && S_ISDIR(st.st_mode);
}

int build_tree_copy(struct runner *runner, const struct root *root, const char *from,
		    const char *to, struct error *err)
{
	char source[256];
	const char *argv[] = { "/bin/cp", "-R", "--preserve=mode,timestamps,links",
			       source,    to,   NULL };
	struct run run = { .argv = argv, .timeout_s = COPY_S, .output_limit = 4096 };

	if (!text_format(source, sizeof(source), "%s/.", from))
		return error_set(err, ERROR_INTERNAL, "the path of %s is too long", from);
	if (root_remove_tree(root, to, err) < 0 || root_mkdir(root, to, 0700, err) < 0)
		return -1;
	return build_make_tool(runner, root, &run, "copying the kernel sources", err);
}

bool build_tree_is_ours(const struct root *root, const char *version)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *conf = NULL;
	char path[128];
	size_t size;

	return version_valid(span_of(version)) &&
	       text_format(path, sizeof(path), PATHS_DKMS_SOURCES "%s/dkms.conf",
			   version) &&
	       file_read(root, path, CONF_MAX, &conf, &size, &ignored) == 0 &&
	       dkms_conf_is_ours((struct span){ .at = conf, .len = size });
}

/* Whether `tree` holds sources, and of which flavour. */
static bool is_tree(const struct root *root, const char *tree, bool *ret_open)
{
	*ret_open = build_tree_has(root, tree, build_tree_folder(true));
	return *ret_open || build_tree_has(root, tree, build_tree_folder(false));
}

static bool kept_by_us(const struct root *root, const char *version, char *ret_tree,
		       size_t size, bool *ret_open)
{
	return version_valid(span_of(version)) &&
	       text_format(ret_tree, size, PATHS_SOURCES "/%s", version) &&
	       is_tree(root, ret_tree, ret_open);
}

bool build_tree_kept(const struct root *root, const char *version, char *ret_tree,
		     size_t size, bool *ret_open)
{
	if (kept_by_us(root, version, ret_tree, size, ret_open))
		return true;
	return build_tree_is_ours(root, version) &&
	       text_format(ret_tree, size, PATHS_DKMS_SOURCES "%s", version) &&
	       is_tree(root, ret_tree, ret_open);
}

/* Everything below PATHS_SOURCES but `version`. */
static int remove_others(const struct root *root, const char *version, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_SOURCES, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		cleanup_free char *path = text_print(PATHS_SOURCES "/%s", *name);

		if (strcmp(*name, version) == 0)
			continue;
		if (!path || root_remove_tree(root, path, err) < 0)
			return path ? -1
				    : error_set(err, ERROR_INTERNAL, "out of memory");
	}
	return 0;
}

int build_tree_keep(struct runner *runner, const struct root *root, const char *tree,
		    const char *version, bool open, struct error *err)
{
	static const char fresh[] = PATHS_SOURCES "/.new";
	char from[256], to[256], kept[256];
	bool kept_open;

	if (!version_valid(span_of(version)))
		return error_set(err, ERROR_INTERNAL, "keeping sources of no version");
	if (kept_by_us(root, version, kept, sizeof(kept), &kept_open) &&
	    kept_open == open)
		return remove_others(root, version, err);

	text_path(kept, sizeof(kept), PATHS_SOURCES "/%s", version);
	text_path(to, sizeof(to), "%s/%s", fresh, build_tree_folder(open));
	if (!text_format(from, sizeof(from), "%s/%s", tree, build_tree_folder(open)))
		return error_set(err, ERROR_INTERNAL, "%s is too long", tree);
	if (root_remove_tree(root, fresh, err) < 0 ||
	    build_tree_copy(runner, root, from, to, err) < 0 ||
	    root_sync(root, to, err) < 0 || root_remove_tree(root, kept, err) < 0 ||
	    root_rename(root, fresh, kept, err) < 0)
		return -1;
	return remove_others(root, version, err);
}
