/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The file system tree the agent works on: "/" on a running guest, a mounted
 * image during an image build, a temporary directory in a test.
 *
 * Every path of the agent is absolute and is resolved inside this tree:
 * neither ".." nor an absolute symlink leads out of it.
 */

#include <sys/stat.h>
#include <sys/types.h>

#include "base/error.h"

struct root {
	int fd;       /* O_PATH; -1 when closed */
	bool is_host; /* the tree is "/" itself: commands need no chroot */
};

#define ROOT_INIT ((struct root){ .fd = -1 })

must_check int root_open(const char *dir, struct root *ret_root, struct error *err);
void root_close(struct root *root);

/*
 * open(2) inside the tree. Returns the descriptor, always close-on-exec, or -1.
 * By openat2(RESOLVE_IN_ROOT); where the kernel or a seccomp filter refuses that
 * (before 5.6, old container managers), component by component to the same effect.
 */
must_check int root_open_at(const struct root *root, const char *path, int flags,
			    mode_t mode, struct error *err);

/*
 * A path that the caller of the program typed, as an absolute one: relative to the
 * working folder. NULL when memory is out. The caller frees it.
 */
char *root_absolute(const char *path);

/*
 * stat(2) inside the tree, the last component not followed, with three answers: 0 and
 * `ret_there`, 0 and not there (ENOENT and ENOTDIR alone; `ret_stat` is untouched), or
 * -1: it cannot be told. Whoever takes the last for the second overwrites or deletes.
 */
must_check int root_look(const struct root *root, const char *path, bool *ret_there,
			 struct stat *ret_stat, struct error *err);

/* root_look() where nothing but the answer is wanted. */
must_check int root_exists(const struct root *root, const char *path, bool *ret_there,
			   struct error *err);

/*
 * The same where a wrong "no" can do no harm: what cannot be looked at is not there.
 */
bool root_stat(const struct root *root, const char *path, struct stat *ret_stat);

/* mkdir -p: every missing folder gets `mode`. */
must_check int root_mkdir(const struct root *root, const char *path, mode_t mode,
			  struct error *err);

/*
 * A new folder of mode 0700 in `dir`, whose name nobody could guess: its path, and a
 * descriptor that says that its maker lives. Those of makers that were killed go.
 */
must_check int root_mkdtemp(const struct root *root, const char *dir, char *ret_path,
			    size_t size, int *ret_fd, struct error *err);

/* A file, a link or an empty folder; not being there is success. */
must_check int root_unlink(const struct root *root, const char *path, struct error *err);

/* The same as well as it can be done, on the way out of another failure. */
void root_discard(const struct root *root, const char *path);

/*
 * A folder with all that is in it; crosses no mount and follows no link. What another
 * process goes on putting there is removed, too, for up to ten seconds.
 */
must_check int root_remove_tree(const struct root *root, const char *path,
				struct error *err);

/* rename(2), both paths inside the tree; both folders are synced. */
must_check int root_rename(const struct root *root, const char *from, const char *to,
			   struct error *err);

/*
 * Brings to the disk what is written on the file system that the folder lies on: after a
 * program of others that syncs nothing. A folder that is not there is success.
 */
must_check int root_sync(const struct root *root, const char *folder, struct error *err);

/* The target of a symbolic link as it stands; -1 also when it is no link. */
must_check int root_readlink(const struct root *root, const char *path, char *ret_target,
			     size_t size, struct error *err);

/*
 * The names in a folder, sorted, without "." and "..": a NULL-terminated array that
 * the caller frees with text_strv_free(). A missing folder is an empty list. More than
 * `limit` names are an error.
 */
must_check int root_list(const struct root *root, const char *path, size_t limit,
			 char ***ret_names, struct error *err);
