/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/depmod.h"

#include <errno.h>
#include <fcntl.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"

#define PREFIX "depmod-"
#define DEPMOD_S 300
#define NAMES_MAX 1000
#define PATH_SIZE 256

static int note_of(const char *release, char path[PATH_SIZE], struct error *err)
{
	if (!text_format(path, PATH_SIZE, PATHS_JOURNAL "/" PREFIX "%s", release))
		return error_set_errno(err, ENAMETOOLONG, "noting depmod for %s",
				       release);
	return 0;
}

int depmod_owe(const struct root *root, const char *release, struct error *err)
{
	char path[PATH_SIZE];

	if (note_of(release, path, err) < 0 ||
	    root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(root, PATHS_JOURNAL, 0700, err) < 0)
		return -1;
	return file_write_atomic(root, path, "", 0, 0600, err);
}

int depmod_is_owed(const struct root *root, const char *release, bool *ret_owed,
		   struct error *err)
{
	char path[PATH_SIZE];

	return note_of(release, path, err) < 0 ? -1
					       : root_exists(root, path, ret_owed, err);
}

int depmod_forgive(const struct root *root, const char *release, struct error *err)
{
	char path[PATH_SIZE];

	return note_of(release, path, err) < 0 ? -1 : root_unlink(root, path, err);
}

int depmod_run(struct runner *runner, const struct root *root, const char *release,
	       struct error *err)
{
	char program[128], dir[PATH_SIZE], note[PATH_SIZE];
	const char *argv[] = { program, release, NULL };
	struct run run = { .argv = argv, .timeout_s = DEPMOD_S };
	cleanup_fd int fd = -1;

	if (!run_find(root, "depmod", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "depmod is not installed");
	if (run_checked(runner, root, &run, err) < 0)
		return err->interrupted ? -1 : error_recode(err, ERROR_INSTALL);

	/* It syncs none of its indexes. */
	if (note_of(release, note, err) < 0 ||
	    !text_format(dir, sizeof(dir), "/lib/modules/%s", release))
		return error_set_errno(err, ENAMETOOLONG, "depmod for %s", release);
	fd = root_open_at(root, dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	if (syncfs(fd) < 0)
		return error_set_errno(err, errno, "syncing %s", dir);
	return root_unlink(root, note, err);
}

int depmod_make_up(struct runner *runner, const struct root *root, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_JOURNAL, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		const char *release = *name + sizeof(PREFIX) - 1;
		char dir[PATH_SIZE], note[PATH_SIZE];
		bool there;

		if (!text_starts(*name, PREFIX))
			continue;
		if (note_of(release, note, err) < 0 ||
		    !text_format(dir, sizeof(dir), "/lib/modules/%s", release))
			return error_set_errno(err, ENAMETOOLONG, "depmod for %s",
					       release);
		if (root_exists(root, dir, &there, err) < 0)
			return -1;
		if ((there ? depmod_run(runner, root, release, err)
			   : root_unlink(root, note, err)) < 0)
			return -1;
	}
	return 0;
}
