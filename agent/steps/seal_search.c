/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/seal.h that looks for copies of a token. */

#include "steps/seal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "model/license/token.h"
#include "model/paths.h"

#define FILE_MAX ((off_t)64 << 20) /* no token is copied into more */
#define CHUNK (64u << 10)
#define DEPTH_MAX 40
#define RUN_MIN 40 /* "eyJ..." of a manual is no token */

static const char *const folders[] = { "/etc", "/var", "/root", "/home",
				       "/srv", "/opt", "/tmp" };

/* What no token ever comes into, and is large. */
static const char *const passed_over[] = {
	"/var/lib/dpkg",  "/var/lib/rpm",     "/var/lib/apt",    "/var/cache/apt",
	"/var/cache/dnf", "/var/lib/dnf",     "/var/lib/docker", "/var/log/journal",
	PATHS_TOKENS,     PATHS_TOKEN_BACKUP,
};

struct search {
	const struct seal_secrets *secrets;
	const char *token_file;
	struct seal_found *found;
	char path[512];
	char buffer[CHUNK + SEAL_PIECE_SIZE];
	bool names_token, looks_like_token; /* of the file at hand */
};

static bool is_token_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '+' ||
	       c == '/';
}

/* The beginning of some token: `mark` and enough of its alphabet. */
static bool holds_run(const struct search *search, size_t size, const char *mark)
{
	const char *at = search->buffer, *end = search->buffer + size;

	while ((at = memmem(at, (size_t)(end - at), mark, strlen(mark)))) {
		size_t run = 0;

		while (at + run < end && is_token_char(at[run]))
			run++;
		if (run >= RUN_MIN)
			return true;
		at += strlen(mark);
	}
	return false;
}

/*
 * A document like ours has the key and a token, as text or in base64; cloud-init, for
 * one, keeps such documents in whatever form.
 */
static bool holds_secret(struct search *search, size_t size)
{
	for (size_t i = 0; i < search->secrets->count; i++) {
		if (memmem(search->buffer, size, search->secrets->pieces[i].bytes,
			   search->secrets->pieces[i].size))
			return true;
	}
	search->names_token |= memmem(search->buffer, size, "client_token", 12) != NULL;
	search->looks_like_token |= holds_run(search, size, "eyJ") ||
				    holds_run(search, size, "ZXlK");
	return search->names_token && search->looks_like_token;
}

/* A file that cannot be read holds nothing that could be found. */
static bool file_has_secret(struct search *search, int fd)
{
	size_t kept = 0;

	search->names_token = search->looks_like_token = false;
	for (;;) {
		ssize_t n = read(fd, search->buffer + kept, CHUNK);
		size_t size;

		if (n <= 0)
			return false;
		size = kept + (size_t)n;
		if (holds_secret(search, size))
			return true;
		/* A piece may lie across two reads. */
		kept = size < SEAL_PIECE_SIZE ? size : SEAL_PIECE_SIZE;
		memmove(search->buffer, search->buffer + size - kept, kept);
	}
}

static bool is_passed_over(const struct search *search)
{
	for (size_t i = 0; i < ARRAY_SIZE(passed_over); i++) {
		if (strcmp(search->path, passed_over[i]) == 0)
			return true;
	}
	return strcmp(search->path, search->token_file) == 0;
}

static void look_at_file(struct search *search, int dir, const char *name)
{
	cleanup_fd int fd =
		openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
	struct seal_found *found = search->found;

	if (fd < 0 || !file_has_secret(search, fd))
		return;
	if (found->count < SEAL_FOUND_MAX)
		(void)text_copy(found->paths[found->count], sizeof(found->paths[0]),
				search->path);
	found->count++;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		(void)closedir(*dir);
}

static int walk(struct search *search, int dirfd, int depth, struct error *err);

static int look_at(struct search *search, int dir, const char *name, int depth,
		   struct error *err)
{
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || is_passed_over(search))
		return 0;
	if (S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
		look_at_file(search, dir, name);
	if (!S_ISDIR(st.st_mode))
		return 0;
	fd = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? 0 : walk(search, fd, depth + 1, err);
}

/* Closes `dirfd`. */
static int walk(struct search *search, int dirfd, int depth, struct error *err)
{
	cleanup(close_dir) DIR *dir = fdopendir(dirfd);
	size_t length = strlen(search->path);

	if (!dir) {
		(void)close(dirfd);
		return error_set_errno(err, ENOMEM, "looking for tokens in %s",
				       search->path);
	}
	if (depth > DEPTH_MAX)
		return error_set(err, ERROR_INTERNAL,
				 "looking for tokens: %s is too deep", search->path);
	for (struct dirent *entry; (entry = readdir(dir));) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (!text_format(search->path + length, sizeof(search->path) - length,
				 "/%s", name))
			return error_set_errno(err, ENAMETOOLONG,
					       "looking for tokens in %s", search->path);
		if (look_at(search, dirfd, name, depth, err) < 0)
			return -1;
		search->path[length] = '\0';
	}
	return 0;
}

int seal_search(const struct root *root, const struct seal_secrets *secrets,
		const char *token_file, struct seal_found *ret_found, struct error *err)
{
	cleanup_free struct search *search = malloc(sizeof(*search));

	if (!search)
		return error_set_errno(err, ENOMEM, "looking for tokens");
	ret_found->count = 0;
	search->secrets = secrets;
	search->token_file = token_file;
	search->found = ret_found;

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct stat st;
		bool there;
		int fd;

		if (root_look(root, folders[i], &there, &st, err) < 0)
			return -1;
		if (!there || !S_ISDIR(st.st_mode))
			continue;
		(void)text_copy(search->path, sizeof(search->path), folders[i]);
		fd = root_open_at(root, folders[i], O_RDONLY | O_DIRECTORY, 0, err);
		if (fd < 0 || walk(search, fd, 0, err) < 0)
			return -1;
	}
	explicit_bzero(search->buffer, sizeof(search->buffer));
	return 0;
}
