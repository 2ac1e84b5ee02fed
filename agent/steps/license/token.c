/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/token.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/memory_file.h"
#include "base/text.h"
#include "model/license/gridd_conf.h"
#include "model/paths.h"
#include "steps/intent.h"

#define REJECTED PATHS_TOKEN_BACKUP "/rejected.tok"
#define LICENSED PATHS_TOKEN_BACKUP "/licensed.tok"
#define FORMER "former.tok" /* of ours, replaced by a newer one */
#define FILES_MAX 1000      /* in the folder, and kept of one name */
#define PATH_SIZE 512

void token_folder(const struct root *root, char ret_folder[static TOKEN_FOLDER_MAX])
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size = 0;

	if (file_read(root, PATHS_GRIDD_CONF, GRIDD_CONF_MAX, &text, &size, &ignored) < 0)
		size = 0;
	gridd_conf_token_dir((struct span){ text ? text : "", size }, ret_folder,
			     TOKEN_FOLDER_MAX);
}

/* The names in the token's folder; that what gridd.conf names is none is for a person. */
static int list_folder(const struct root *root, const char *folder, char ***ret_names,
		       struct error *err)
{
	if (root_list(root, folder, FILES_MAX, ret_names, err) == 0)
		return 0;
	if (err->errnum != ENOTDIR)
		return -1;
	(void)error_set(err, ERROR_TOKEN,
			"ClientConfigTokenPath in " PATHS_GRIDD_CONF
			" names %s, which is no folder",
			folder);
	return error_hint(err, "name the folder that the token lies in");
}

bool token_path(const struct root *root, char *ret_path, size_t size)
{
	char folder[TOKEN_FOLDER_MAX];

	token_folder(root, folder);
	return text_format(ret_path, size, "%s/" PATHS_TOKEN_NAME, folder);
}

/* A token in our memory; its bytes are gone with it. */
struct content {
	char *text;
	size_t size;
};

static void content_done(struct content *content)
{
	if (content->text)
		explicit_bzero(content->text, content->size);
	free(content->text);
}

static bool content_same(const struct content *a, const struct content *b)
{
	return a->text && b->text && a->size == b->size &&
	       memcmp(a->text, b->text, a->size) == 0;
}

int token_check(int fd, const struct channel *channel, struct json **ret_check,
		struct error *err)
{
	cleanup_json struct json *request =
		json_build("{s:s, s:i}", "job", "token", "input", CHANNEL_FIRST_FILE);
	cleanup_json struct json *check = NULL;

	if (!request)
		return error_set_errno(err, ENOMEM, "checking the token");
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "reading the token");
	if (channel_call(channel, request, &fd, 1, &check, err) < 0)
		return error_prefix(err, "checking the token");
	if (json_kind(json_get(check, "problems")) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INTERNAL,
				 "the worker did not say what is wrong with the token");

	*ret_check = take_ptr(check);
	return 0;
}

int token_memory(const char *text, size_t size, int *ret_fd, struct error *err)
{
	int fd;

	if (size > TOKEN_SIZE_MAX + 1)
		return error_set(err, ERROR_TOKEN, "the token is larger than %u bytes",
				 TOKEN_SIZE_MAX);
	fd = memory_file("token", text, size, err);
	if (fd < 0)
		return error_prefix(err, "the token");

	*ret_fd = fd;
	return 0;
}

/* Reads the descriptor from its beginning: the bytes that the worker has judged. */
static int content_read(struct content *content, int fd, struct error *err)
{
	if (lseek(fd, 0, SEEK_SET) < 0)
		return error_set_errno(err, errno, "reading the token");
	if (file_read_fd(fd, TOKEN_SIZE_MAX, &content->text, &content->size, err) < 0) {
		if (!err->errnum)
			(void)error_recode(err, ERROR_TOKEN);
		return error_prefix(err, "the token");
	}
	if (content->size == 0)
		return error_set(err, ERROR_TOKEN, "the token is empty");
	return 0;
}

/*
 * "" for the first of a name, then ".1", ".2", ...: other bytes are never overwritten,
 * and the same ones get no second place.
 */
static int find_room(const struct root *root, const char *path, const char *name,
		     char ret_path[PATH_SIZE], struct error *err)
{
	for (int i = 0; i < FILES_MAX; i++) {
		bool fits = i == 0 ? text_format(ret_path, PATH_SIZE,
						 PATHS_TOKEN_BACKUP "/%s", name)
				   : text_format(ret_path, PATH_SIZE,
						 PATHS_TOKEN_BACKUP "/%s.%d", name, i);
		bool there, same = false;
		struct stat st;

		if (!fits)
			return error_set_errno(err, ENAMETOOLONG, "keeping %s", path);
		if (root_look(root, ret_path, &there, &st, err) < 0 ||
		    (there && file_compare(root, path, ret_path, &same, err) < 0))
			return -1;
		if (!there || same)
			return 0;
	}

	return error_set(err, ERROR_INTERNAL, "%s holds too many files named %s",
			 PATHS_TOKEN_BACKUP, name);
}

/* A copy in the state folder, which may be on another file system. */
static int copy_to_backup(const struct root *root, const char *path, const char *name,
			  struct error *err)
{
	char target[PATH_SIZE];

	if (root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(root, PATHS_TOKEN_BACKUP, 0700, err) < 0 ||
	    find_room(root, path, name, target, err) < 0)
		return -1;
	return file_copy(root, path, target, err);
}

/* How much a file of the token's folder looks like a token. */
enum likeness { LIKENESS_NONE, LIKENESS_NAME, LIKENESS_TOKEN };

/* A copy that an editor or a package left beside the file it is of. */
static bool is_copy(const char *name)
{
	static const char *const ends[] = { ".bak",  "~",        ".old",    ".orig",
					    ".save", ".rpmsave", ".rpmnew", ".dpkg-old" };

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		if (text_ends(name, ends[i]))
			return true;
	}
	return false;
}

static enum likeness judge(const char *name, int fd)
{
	char head[TOKEN_HEAD_SIZE];
	ssize_t n = pread(fd, head, sizeof(head), 0);

	if (!is_copy(name) && n > 0 && token_looks_like((struct span){ head, (size_t)n }))
		return LIKENESS_TOKEN;
	return text_ends(name, ".tok") ? LIKENESS_NAME : LIKENESS_NONE;
}

/* A file of the token's folder. */
struct candidate {
	int fd;
	char path[PATH_SIZE];
	struct stat stat;
	enum likeness likeness;
};

/*
 * A file of this folder that gridd might take for a token; -1 in its `fd` where it is
 * none. Hidden names are other programs' unfinished files and the folders behind a
 * Kubernetes secret's links; a link may lead nowhere, or in a circle. What is neither
 * called nor written like a token (a gridd.conf, a README) is somebody's.
 */
static int open_candidate(const struct root *root, const char *folder, const char *name,
			  struct candidate *ret_candidate, struct error *err)
{
	struct candidate found = { .fd = -1 };
	struct error why = ERROR_INIT;
	cleanup_fd int fd = -1;

	*ret_candidate = found;
	if (name[0] == '.' ||
	    !text_format(found.path, sizeof(found.path), "%s/%s", folder, name))
		return 0;
	fd = root_open_at(root, found.path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &why);
	if (fd < 0 && (why.errnum == ENOENT || why.errnum == ENOTDIR ||
		       why.errnum == ELOOP || why.errnum == ENXIO))
		return 0;
	if (fd < 0) {
		*err = why;
		return -1;
	}
	if (fstat(fd, &found.stat) < 0)
		return error_set_errno(err, errno, "looking at %s", found.path);
	if (!S_ISREG(found.stat.st_mode))
		return 0;
	found.likeness = judge(name, fd);
	if (found.likeness == LIKENESS_NONE)
		return 0;

	found.fd = take_fd(fd);
	*ret_candidate = found;
	return 0;
}

/* Moves every other token away. */
static int clear_folder(const struct root *root, const char *folder, const char *own,
			bool *ret_moved, struct error *err)
{
	cleanup_strv char **names = NULL;

	*ret_moved = false;
	if (list_folder(root, folder, &names, err) < 0)
		return -1;

	for (char **name = names; *name; name++) {
		struct candidate candidate;

		if (open_candidate(root, folder, *name, &candidate, err) < 0)
			return -1;
		if (candidate.fd < 0)
			continue;
		(void)close(candidate.fd);
		if (strcmp(candidate.path, own) == 0)
			continue;
		if (copy_to_backup(root, candidate.path, *name, err) < 0 ||
		    root_unlink(root, candidate.path, err) < 0)
			return -1;
		*ret_moved = true;
	}

	return 0;
}

/* Whether the path holds these bytes; false where there is no file to be read. */
static int holds(const struct root *root, const char *path, const struct content *content,
		 bool *ret_there, bool *ret_same, struct error *err)
{
	cleanup(content_done) struct content old = { 0 };
	struct error why = ERROR_INIT;

	*ret_there = *ret_same = false;
	if (file_read(root, path, TOKEN_SIZE_MAX, &old.text, &old.size, &why) < 0) {
		if (why.errnum == ENOENT || why.errnum == ENOTDIR)
			return 0;
		if (why.errnum) {
			*err = why;
			return -1;
		}
		*ret_there = true; /* larger than a token, or no file */
		return 0;
	}
	*ret_there = true;
	*ret_same = content_same(&old, content);
	return 0;
}

/* Other bytes take the place of what is there, which is kept before. */
static int replace(const struct root *root, const char *path,
		   const struct content *content, bool there, struct error *err)
{
	struct span text = { content->text, content->size };
	struct intent_note note = { 0 };

	if (intent_look(root, INTENT_TOKEN, path, &note, err) < 0)
		return -1;
	/* The first time the intent itself keeps what others had put there. */
	if (note.known && there && copy_to_backup(root, path, FORMER, err) < 0)
		return -1;
	return intent_begin(root, INTENT_TOKEN, path, text, err);
}

int token_install(int fd, unsigned mode, const struct root *root, bool *ret_changed,
		  struct error *err)
{
	cleanup(content_done) struct content content = { 0 };
	cleanup_strv char **names = NULL;
	char folder[TOKEN_FOLDER_MAX], path[PATH_SIZE];
	bool there, same, replaced = false, moved = false;

	token_folder(root, folder);
	if (!text_format(path, sizeof(path), "%s/" PATHS_TOKEN_NAME, folder))
		return error_set_errno(err, ENAMETOOLONG, "naming the token");
	if (content_read(&content, fd, err) < 0 ||
	    list_folder(root, folder, &names, err) < 0 ||
	    holds(root, path, &content, &there, &same, err) < 0 ||
	    (!same && replace(root, path, &content, there, err) < 0) ||
	    root_mkdir(root, folder, 0755, err) < 0)
		return -1;
	if (file_update(root, path, (struct span){ content.text, content.size },
			mode & 07777, &replaced, err) < 0 ||
	    intent_end(root, INTENT_TOKEN, err) < 0)
		return -1;
	if (clear_folder(root, folder, path, &moved, err) < 0)
		return error_prefix(err, "moving other tokens away");

	*ret_changed = replaced || moved;
	return 0;
}

int token_forget_older(const struct root *root, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, PATHS_TOKEN_BACKUP, FILES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[PATH_SIZE];

		if (!text_format(path, sizeof(path), PATHS_TOKEN_BACKUP "/%s", *name) ||
		    strcmp(path, REJECTED) == 0)
			continue;
		if (root_unlink(root, path, err) < 0)
			return -1;
	}
	return 0;
}

static bool is_newer(const struct stat *a, const struct stat *b)
{
	if (a->st_mtim.tv_sec != b->st_mtim.tv_sec)
		return a->st_mtim.tv_sec > b->st_mtim.tv_sec;
	return a->st_mtim.tv_nsec > b->st_mtim.tv_nsec;
}

/* A token before what only has its name, then the newer one. */
static bool is_better(const struct candidate *a, const struct candidate *b)
{
	if (a->likeness != b->likeness)
		return a->likeness > b->likeness;
	return is_newer(&a->stat, &b->stat);
}

int token_open_installed(const struct root *root, int *ret_fd, size_t *ret_count,
			 struct error *err)
{
	cleanup_strv char **names = NULL;
	struct candidate best = { .fd = -1 };
	char folder[TOKEN_FOLDER_MAX];
	size_t count = 0;

	token_folder(root, folder);
	if (list_folder(root, folder, &names, err) < 0)
		return -1;

	for (char **name = names; *name; name++) {
		struct candidate candidate;

		if (open_candidate(root, folder, *name, &candidate, err) < 0) {
			if (best.fd >= 0)
				(void)close(best.fd);
			return -1;
		}
		if (candidate.fd < 0)
			continue;
		count++;
		if (best.fd < 0 || is_better(&candidate, &best)) {
			if (best.fd >= 0)
				(void)close(best.fd);
			best = candidate;
		} else {
			(void)close(candidate.fd);
		}
	}

	*ret_fd = best.fd;
	*ret_count = count;
	return 0;
}

bool token_same(int fd, int other)
{
	cleanup(content_done) struct content a = { 0 }, b = { 0 };
	struct error ignored = ERROR_INIT;

	return content_read(&a, fd, &ignored) == 0 &&
	       content_read(&b, other, &ignored) == 0 && content_same(&a, &b);
}

static int keep_as(const struct root *root, const char *path, int fd, struct error *err)
{
	cleanup(content_done) struct content content = { 0 };

	if (content_read(&content, fd, err) < 0 ||
	    root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(root, PATHS_TOKEN_BACKUP, 0700, err) < 0)
		return -1;
	return file_write_atomic(root, path, content.text, content.size, 0600, err);
}

int token_reject(const struct root *root, int fd, struct error *err)
{
	return keep_as(root, REJECTED, fd, err);
}

bool token_is_rejected(const struct root *root, int fd)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int rejected =
		root_open_at(root, REJECTED, O_RDONLY | O_NONBLOCK, 0, &ignored);

	return rejected >= 0 && token_same(fd, rejected);
}

int token_keep_licensed(const struct root *root, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;
	size_t count;
	bool there;

	if (root_look(root, LICENSED, &there, &st, err) < 0)
		return -1;
	if (there)
		return 0;
	if (token_open_installed(root, &fd, &count, err) < 0)
		return -1;
	return fd < 0 ? 0 : keep_as(root, LICENSED, fd, err);
}

int token_open_licensed(const struct root *root)
{
	struct error ignored = ERROR_INIT;

	return root_open_at(root, LICENSED, O_RDONLY | O_NONBLOCK, 0, &ignored);
}

int token_set_by_hand(const struct root *root, bool by_hand, struct error *err)
{
	if (!by_hand && !token_is_by_hand(root))
		return 0;
	if (!by_hand)
		return root_unlink(root, PATHS_TOKEN_BY_HAND, err);
	if (root_mkdir(root, PATHS_LOCK_DIR, 0755, err) < 0)
		return -1;
	return file_write_atomic(root, PATHS_TOKEN_BY_HAND, "", 0, 0644, err);
}

bool token_is_by_hand(const struct root *root)
{
	struct error ignored = ERROR_INIT;
	bool there;

	return root_exists(root, PATHS_TOKEN_BY_HAND, &there, &ignored) < 0 || there;
}
