/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/seal.h that goes through the tree. */

#include "steps/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "base/text.h"
#include "model/paths.h"

#define FILE_MAX ((off_t)1 << 30)
#define DEPTH_MAX 64
#define ZFS_MAGIC 0x2fc12fc1
#define TOKEN_NAME "client_configuration_token" /* NVIDIA's, then a date and ".tok" */

/* Where people, and what they install and configure, leave files: the rest is of
 * packages. */
static const char *const folders[] = { "/etc", "/var", "/root",      "/home",
				       "/srv", "/opt", "/usr/local", "/tmp" };

/* The books of package managers, and what a seal itself empties. */
static const char *const passed_over[] = {
	"/var/lib/dpkg",  "/var/lib/rpm",      "/var/lib/apt", "/var/cache/apt",
	"/var/cache/dnf", "/var/lib/dnf",      PATHS_SEAL,     PATHS_CACHE,
	PATHS_LOGS,       PATHS_TRUSTED_STORE,
};

struct search {
	const struct seal *seal;
	struct seal_found *found;
	char path[PATH_MAX];
	/* gzip files that wait for a worker: starting one takes longer than its work. */
	size_t packed_count;
	int packed[SEAL_PACKED_MAX];
	char *packed_paths[SEAL_PACKED_MAX];
};

static void search_done(struct search *search)
{
	for (size_t i = 0; i < search->packed_count; i++) {
		(void)close(search->packed[i]);
		free(search->packed_paths[i]);
	}
	search->packed_count = 0;
}

static void add(struct search *search, const char *path)
{
	struct seal_found *found = search->found;

	/* A name that has no room is none: half of one would be another file's. */
	if (found->count < SEAL_FOUND_MAX &&
	    !text_copy(found->paths[found->count], SEAL_PATH_MAX, path))
		found->paths[found->count][0] = '\0';
	found->count++;
}

static void add_unread(struct search *search, const char *path)
{
	if (search->found->unread++ == 0)
		(void)text_copy(search->found->first_unread, SEAL_PATH_MAX, path);
}

/* After a call that failed: what is gone by now holds nothing, anything else may. */
static void add_failed(struct search *search)
{
	if (errno != ENOENT)
		add_unread(search, search->path);
}

static void note(struct search *search, enum seal_content content, const char *path)
{
	if (content == SEAL_TOKEN)
		add(search, path);
	else if (content == SEAL_UNREAD)
		add_unread(search, path);
}

static int look_at_packed(struct search *search, struct error *err)
{
	enum seal_content contents[SEAL_PACKED_MAX];

	if (search->packed_count == 0)
		return 0;
	if (seal_look_packed(search->seal, search->packed, search->packed_count, contents,
			     err) < 0)
		return -1;
	for (size_t i = 0; i < search->packed_count; i++)
		note(search, contents[i], search->packed_paths[i]);
	search_done(search);
	return 0;
}

/* Takes the descriptor. */
static int keep_packed(struct search *search, int fd, struct error *err)
{
	char *path = strdup(search->path);

	if (!path) {
		(void)close(fd);
		return error_set_errno(err, ENOMEM, "looking for tokens");
	}
	search->packed[search->packed_count] = fd;
	search->packed_paths[search->packed_count++] = path;
	return search->packed_count == SEAL_PACKED_MAX ? look_at_packed(search, err) : 0;
}

static bool is_passed_over(const struct search *search)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++) {
		if (strcmp(search->path, passed_over[i]) == 0)
			return true;
	}
	return false;
}

static int look_at_file(struct search *search, int dir, const char *name,
			const struct stat *st, struct error *err)
{
	cleanup_fd int fd =
		openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	enum seal_content content = SEAL_UNREAD;

	if (st->st_size == 0 || seal_removes(search->seal, search->path))
		return 0;
	if (text_starts(name, TOKEN_NAME))
		content = SEAL_TOKEN;
	else if (fd >= 0 && st->st_size <= FILE_MAX &&
		 seal_look(search->seal, fd, &content, err) < 0)
		return -1;
	if (content == SEAL_PACKED)
		return keep_packed(search, take_fd(fd), err);
	note(search, content, search->path);
	return 0;
}

/*
 * A file system that is mounted in the tree is part of the image where it lies on a disk:
 * not the network's, not the kernel's own, not one in memory, and no CD. One that cannot
 * be told is searched.
 */
static bool is_on_disk(int fd, bool or_in_memory)
{
	static const uint32_t kinds[] = { EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC,
					  BTRFS_SUPER_MAGIC, F2FS_SUPER_MAGIC,
					  ZFS_MAGIC };
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if ((uint32_t)fs.f_type == kinds[i])
			return true;
	}
	return or_in_memory && fs.f_type == TMPFS_MAGIC;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

/* What a folder is told by, to its contents. */
struct place {
	int fd; /* closed by walk() */
	dev_t device;
	int depth;
};

static int walk(struct search *search, struct place place, struct error *err);

static int look_at(struct search *search, const struct place *place, const char *name,
		   struct error *err)
{
	struct place inner = { .depth = place->depth + 1 };
	struct stat st;

	if (is_passed_over(search))
		return 0;
	if (fstatat(place->fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		add_failed(search);
		return 0;
	}
	if (S_ISREG(st.st_mode))
		return look_at_file(search, place->fd, name, &st, err);
	if (!S_ISDIR(st.st_mode))
		return 0;
	inner.fd =
		openat(place->fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (inner.fd < 0) {
		add_failed(search);
		return 0;
	}
	inner.device = st.st_dev;
	if (st.st_dev != place->device && !is_on_disk(inner.fd, false)) {
		(void)close(inner.fd);
		return 0;
	}
	return walk(search, inner, err);
}

static int walk(struct search *search, struct place place, struct error *err)
{
	cleanup(close_dir) DIR *dir = fdopendir(place.fd);
	size_t length = strlen(search->path);

	if (!dir) {
		int failed = errno;

		(void)close(place.fd);
		return error_set_errno(err, failed, "looking for tokens in %s",
				       search->path);
	}
	if (place.depth > DEPTH_MAX) {
		add_unread(search, search->path);
		return 0;
	}
	for (struct dirent *entry; (errno = 0, entry = readdir(dir));) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (!text_format(search->path + length, sizeof(search->path) - length,
				 "/%s", name))
			add_unread(search, search->path);
		else if (look_at(search, &place, name, err) < 0)
			return -1;
		search->path[length] = '\0';
	}
	if (errno != 0)
		add_unread(search, search->path);
	return 0;
}

/* A /tmp in memory is searched, too: people leave there what they also leave elsewhere.
 */
static int search_folder(struct search *search, const char *folder, dev_t device,
			 struct error *err)
{
	const struct root *root = search->seal->root;
	struct place place = { .depth = 0 };
	struct stat st;
	bool there;

	if (root_look(root, folder, &there, &st, err) < 0)
		return -1;
	if (!there || !S_ISDIR(st.st_mode))
		return 0;
	(void)text_copy(search->path, sizeof(search->path), folder);
	place.device = st.st_dev;
	place.fd = root_open_at(root, folder, O_RDONLY | O_DIRECTORY, 0, err);
	if (place.fd < 0)
		return -1;
	if (st.st_dev != device && !is_on_disk(place.fd, true)) {
		(void)close(place.fd);
		return 0;
	}
	return walk(search, place, err);
}

int seal_search(const struct seal *seal, struct seal_found *ret_found, struct error *err)
{
	cleanup(search_done) struct search search = { .seal = seal, .found = ret_found };
	struct stat top;

	*ret_found = (struct seal_found){ .count = 0 };
	if (fstat(seal->root->fd, &top) < 0)
		return error_set_errno(err, errno, "looking for tokens");
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (search_folder(&search, folders[i], top.st_dev, err) < 0)
			return -1;
	}
	return look_at_packed(&search, err);
}
