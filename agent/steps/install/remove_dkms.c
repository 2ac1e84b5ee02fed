/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/install/remove.h that takes back what was registered with DKMS. */

#include "steps/install/remove.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/driver/version.h"
#include "model/kernel/dkms.h"
#include "model/paths.h"

#define SOURCES_DIR "/usr/src"
#define SOURCES_NAME "nvidia-"
#define REMOVE_S 1800
#define NAMES_MAX 4096
#define CONF_MAX (64u << 10)

static bool is_ours(const struct root *root, const char *sources)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *conf = NULL;
	char path[160];
	size_t size;

	return text_format(path, sizeof(path), "%s/dkms.conf", sources) &&
	       file_read(root, path, CONF_MAX, &conf, &size, &ignored) == 0 &&
	       dkms_conf_is_ours((struct span){ .at = conf, .len = size });
}

/* "dkms remove" for all kernels, then the entry of the registry. */
static int unregister(struct runner *runner, const struct root *root, const char *version,
		      int log_fd, struct error *err)
{
	char program[128], entry[128], source[160];
	const char *argv[] = { program, "remove", "-m",    "nvidia",
			       "-v",    version,  "--all", NULL };
	struct run run = { .argv = argv, .timeout_s = REMOVE_S, .log_fd = log_fd };
	bool there;

	text_path(entry, sizeof(entry), PATHS_DKMS_REGISTRY "/%s", version);
	text_path(source, sizeof(source), "%s/source", entry);
	if (root_exists(root, entry, &there, err) < 0)
		return -1;
	if (!there)
		return 0;
	if (!run_find(root, "dkms", program, sizeof(program))) {
		(void)error_set(err, ERROR_INSTALL,
				"nvidia/%s is registered with DKMS, and dkms is not "
				"installed any more",
				version);
		return error_hint(err, "install dkms, then run again");
	}
	/* dkms would go wrong silently. */
	if (!run_has_system(root)) {
		(void)error_set(err, ERROR_PREREQUISITES,
				"DKMS needs /proc and /dev, and they are not mounted "
				"here");
		return error_hint(err, "mount them into the image, then run again");
	}
	/* After a run that was killed the link "source" may be missing: DKMS then knows
	 * no such registration. */
	if (root_exists(root, source, &there, err) < 0)
		return -1;
	if (there && run_checked(runner, root, &run, err) < 0)
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);
	/* DKMS overlooks modules that are half built, and leaves the entry because of
	 * them. */
	return root_remove_tree(root, entry, err);
}

/*
 * The sources go last: the mark in their dkms.conf is the only sign that a registration
 * is the agent's, and a run that is cut off must find that sign again.
 */
static int remove_version(struct runner *runner, const struct root *root,
			  const char *version, int log_fd, bool *changed,
			  struct error *err)
{
	char sources[128];

	if (!text_format(sources, sizeof(sources), PATHS_DKMS_SOURCES "%s", version) ||
	    !is_ours(root, sources))
		return 0;
	if (unregister(runner, root, version, log_fd, err) < 0 ||
	    root_remove_tree(root, sources, err) < 0)
		return -1;
	*changed = true;
	return 0;
}

int remove_dkms(struct runner *runner, const struct root *root, const char *keep,
		int log_fd, bool *ret_changed, struct error *err)
{
	cleanup_strv char **names = NULL;
	bool changed = false;

	if (root_list(root, SOURCES_DIR, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		struct span version = span_of(*name);

		if (span_skip(&version, SOURCES_NAME) && version_valid(version) &&
		    !span_equals(version, keep) &&
		    remove_version(runner, root, version.at, log_fd, &changed, err) < 0)
			return -1;
	}
	if (!keep[0])
		file_discard_new(root, PATHS_DKMS_SIGNING);
	if (root_remove_tree(root, PATHS_DKMS_NEW, err) < 0 ||
	    (!keep[0] && root_unlink(root, PATHS_DKMS_SIGNING, err) < 0))
		return -1;
	*ret_changed = changed;
	return 0;
}
