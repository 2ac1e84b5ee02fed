/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/depmod.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/span.h"
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

/* What modprobe and udev read. */
static const char *const indexes[] = { "modules.dep",     "modules.dep.bin",
				       "modules.alias",   "modules.alias.bin",
				       "modules.symbols", "modules.symbols.bin" };

struct index {
	bool there;
	struct stat st;
};

static int look_at_indexes(const struct root *root, const char *dir,
			   struct index ret_found[ARRAY_SIZE(indexes)], struct error *err)
{
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		char path[PATH_SIZE + 32];

		text_path(path, sizeof(path), "%s/%s", dir, indexes[i]);
		if (root_look(root, path, &ret_found[i].there, &ret_found[i].st, err) < 0)
			return -1;
	}
	return 0;
}

/* kmod's depmod goes on past an index that it could not write, and ends with 0. */
static int check_written(const struct root *root, const char *dir,
			 const struct index before[ARRAY_SIZE(indexes)],
			 struct error *err)
{
	struct index now[ARRAY_SIZE(indexes)] = { 0 };

	if (look_at_indexes(root, dir, now, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		const struct stat *old = &before[i].st, *new = &now[i].st;

		if (before[i].there &&
		    (!now[i].there || (old->st_ino == new->st_ino &&
				       old->st_ctim.tv_sec == new->st_ctim.tv_sec &&
				       old->st_ctim.tv_nsec == new->st_ctim.tv_nsec)))
			return error_set(err, ERROR_INSTALL,
					 "depmod has ended well and not written %s/%s",
					 dir, indexes[i]);
	}
	return 0;
}

/* "modules.dep.PID.USEC.SEC", of a depmod that is no more: kmod's tools/depmod.c. */
static bool is_left_over(const char *name)
{
	uint64_t number = 0;
	char copy[NAME_MAX + 1];

	if (!text_starts(name, "modules.") || !text_copy(copy, sizeof(copy), name))
		return false;
	for (int i = 0; i < 3; i++) {
		char *dot = strrchr(copy, '.');

		if (!dot || !span_to_u64(span_of(dot + 1), &number))
			return false;
		*dot = '\0';
	}
	return number > 0 && number <= INT_MAX && kill((pid_t)number, 0) < 0 &&
	       errno == ESRCH;
}

static int remove_left_over(const struct root *root, const char *dir, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, dir, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[PATH_SIZE + NAME_MAX + 2];

		text_path(path, sizeof(path), "%s/%s", dir, *name);
		if (is_left_over(*name) && root_unlink(root, path, err) < 0)
			return -1;
	}
	return 0;
}

static int write_indexes(struct runner *runner, const struct root *root,
			 const char *release, const char *dir, struct error *err)
{
	char program[128];
	const char *argv[] = { program, release, NULL };
	struct run run = { .argv = argv, .timeout_s = DEPMOD_S };
	struct index before[ARRAY_SIZE(indexes)] = { 0 };
	const char *const folders[] = { dir, NULL };

	if (!run_find(root, "depmod", program, sizeof(program)))
		return error_set(err, ERROR_PREREQUISITES, "depmod is not installed");
	if (remove_left_over(root, dir, err) < 0 ||
	    look_at_indexes(root, dir, before, err) < 0)
		return -1;
	if (run_checked(runner, root, &run, err) < 0) {
		if (!err->interrupted)
			(void)error_recode(err, ERROR_INSTALL);
		return room_explain(root, folders, err);
	}
	return check_written(root, dir, before, err) < 0
		       ? room_explain(root, folders, err)
		       : 0;
}

int depmod_run(struct runner *runner, const struct root *root, const char *release,
	       struct error *err)
{
	char dir[PATH_SIZE], note[PATH_SIZE];

	if (note_of(release, note, err) < 0)
		return -1;
	if (!text_format(dir, sizeof(dir), "/lib/modules/%s", release))
		return error_set_errno(err, ENAMETOOLONG, "depmod for %s", release);
	if (write_indexes(runner, root, release, dir, err) < 0)
		return -1;

	/* It syncs none of its indexes. */
	if (root_sync(root, dir, err) < 0)
		return -1;
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
