/* SPDX-License-Identifier: Apache-2.0 */
#include "base/root_walk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"

#define LINKS_MAX 40 /* as the kernel's own limit */

/* What is still to be walked; links put their target in front of it. */
struct walk {
	char left[2 * PATH_MAX];
	int links;
	/* The folders from the root down to here: ".." goes back, never above the first.
	 */
	int dirs[64];
	int depth;
};

static void walk_done(struct walk *walk)
{
	while (walk->depth > 0)
		(void)close(walk->dirs[--walk->depth]);
}

static void walk_up(struct walk *walk, int levels)
{
	while (levels-- > 0 && walk->depth > 1)
		(void)close(walk->dirs[--walk->depth]);
}

static int walk_into(struct walk *walk, int fd)
{
	if (walk->depth == (int)ARRAY_SIZE(walk->dirs)) {
		(void)close(fd);
		errno = ENAMETOOLONG;
		return -1;
	}
	walk->dirs[walk->depth++] = fd;
	return 0;
}

static int walk_link(struct walk *walk, int fd)
{
	char target[PATH_MAX], rest[sizeof(walk->left)];
	ssize_t n = readlinkat(fd, "", target, sizeof(target) - 1);

	(void)close(fd);
	if (n < 0)
		return -1;
	target[n] = '\0';
	if (++walk->links > LINKS_MAX) {
		errno = ELOOP;
		return -1;
	}
	if (target[0] == '/')
		walk_up(walk, INT_MAX);
	if (!text_format(rest, sizeof(rest), "%s/%s", target, walk->left)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(walk->left, rest, sizeof(rest));
	return 0;
}

/*
 * Takes the next component off `left`; NULL when there is none. Of a name that is too
 * long so much that the kernel says so.
 */
static const char *walk_next(struct walk *walk, char name[static NAME_MAX + 2])
{
	char *from = walk->left + strspn(walk->left, "/");
	size_t len = strcspn(from, "/");

	if (len == 0)
		return NULL;
	if (len > NAME_MAX + 1)
		len = NAME_MAX + 1;
	memcpy(name, from, len);
	name[len] = '\0';
	memmove(walk->left, from + len, strlen(from + len) + 1);
	return name;
}

static bool walk_at_end(const struct walk *walk)
{
	return walk->left[strspn(walk->left, "/")] == '\0';
}

static int walk_open(struct walk *walk, int flags, mode_t mode)
{
	char name[NAME_MAX + 2];

	while (walk_next(walk, name)) {
		int dir = walk->dirs[walk->depth - 1], fd;
		bool last = walk_at_end(walk);
		struct stat st;

		if (strcmp(name, ".") == 0)
			continue;
		if (strcmp(name, "..") == 0) {
			walk_up(walk, 1);
			continue;
		}

		fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (fd < 0 && !(last && errno == ENOENT && flags & O_CREAT))
			return -1;
		if (fd < 0 || (last && flags & O_NOFOLLOW)) {
			if (fd >= 0)
				(void)close(fd);
			return openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		}
		if (fstat(fd, &st) < 0) {
			(void)close(fd);
			return -1;
		}
		if (S_ISLNK(st.st_mode)) {
			if (walk_link(walk, fd) < 0)
				return -1;
			continue;
		}
		if (last && !S_ISDIR(st.st_mode)) {
			(void)close(fd);
			return openat(dir, name, flags | O_NOFOLLOW | O_CLOEXEC, mode);
		}
		if (walk_into(walk, fd) < 0)
			return -1;
	}

	return openat(walk->dirs[walk->depth - 1], ".", (flags & ~O_CREAT) | O_CLOEXEC);
}

int root_walk(const struct root *root, const char *path, int flags, mode_t mode)
{
	cleanup(walk_done) struct walk walk = { .depth = 0 };
	int first = fcntl(root->fd, F_DUPFD_CLOEXEC, 0);

	if (first < 0 || walk_into(&walk, first) < 0)
		return -1;
	if (!text_copy(walk.left, sizeof(walk.left), path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return walk_open(&walk, flags, mode);
}
