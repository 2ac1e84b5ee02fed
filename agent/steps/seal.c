/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "model/license/token.h"
#include "model/paths.h"

#define NAMES_MAX 1000
#define KEPT_MAX (64u << 10) /* of PATHS_SEAL */

static int learn_file(struct seal *seal, const char *path, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct stat st;
	size_t size;
	bool there;

	if (root_look(seal->root, path, &there, &st, err) < 0)
		return -1;
	if (!there || S_ISDIR(st.st_mode))
		return 0;
	if (file_read(seal->root, path, TOKEN_SIZE_MAX, &text, &size, &why) < 0) {
		/* What is larger is no token. */
		if (why.errnum == ENOENT || why.errnum == 0)
			return 0;
		*err = why;
		return -1;
	}
	trace_learn(&seal->trace, (struct span){ text, size });
	explicit_bzero(text, size);
	return 0;
}

static int learn_folder(struct seal *seal, const char *folder, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(seal->root, folder, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[SEAL_PATH_MAX];

		if (text_format(path, sizeof(path), "%s/%s", folder, *name) &&
		    seal_removes(seal, path) && learn_file(seal, path, err) < 0)
			return -1;
	}
	return 0;
}

/* A record that is damaged is none: what it was of is still installed, or found by form.
 */
static void read_kept(struct seal *seal)
{
	cleanup_json struct json *kept = NULL;
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	if (file_read(seal->root, PATHS_SEAL, KEPT_MAX, &text, &size, &ignored) < 0 ||
	    json_parse(text, size, &kept, &ignored) < 0)
		return;
	trace_read(&seal->trace, json_get(kept, "pieces"));
}

/* Root's alone, although no token comes back from hashes. */
static int write_kept(const struct seal *seal, struct error *err)
{
	cleanup_json struct json *kept = json_build("{s:i, s:o}", "schema", 1, "pieces",
						    trace_print(&seal->trace));
	cleanup_free char *text = NULL;

	text = kept ? json_print(kept) : NULL;
	if (!text)
		return error_set_errno(err, ENOMEM, "keeping what is searched for");
	if (root_mkdir(seal->root, PATHS_STATE, 0755, err) < 0)
		return -1;
	return file_write_atomic(seal->root, PATHS_SEAL, text, strlen(text), 0600, err);
}

int seal_learn(struct seal *seal, struct error *err)
{
	size_t known;

	seal->trace = (struct trace){ .count = 0 };
	read_kept(seal);
	known = seal->trace.count;
	if (learn_folder(seal, seal->folder, err) < 0 ||
	    learn_folder(seal, PATHS_TOKENS, err) < 0 ||
	    learn_folder(seal, PATHS_TOKEN_BACKUP, err) < 0 ||
	    (seal->token_file[0] && learn_file(seal, seal->token_file, err) < 0))
		return -1;
	return seal->trace.count > known ? write_kept(seal, err) : 0;
}

static bool is_in(const char *folder, const char *path)
{
	size_t length = strlen(folder);

	return text_starts(path, folder) && path[length] == '/' &&
	       !strchr(path + length + 1, '/');
}

/* A token by its name or its first bytes: others' files in its folder are theirs. */
static bool is_token(const struct root *root, const char *path)
{
	struct error ignored = ERROR_INIT;
	char head[TOKEN_HEAD_SIZE];
	cleanup_fd int fd = -1;
	ssize_t n;
	bool looks;

	if (text_ends(path, ".tok"))
		return true;
	fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, &ignored);
	n = fd < 0 ? 0 : read(fd, head, sizeof(head));
	looks = n > 0 && token_looks_like((struct span){ head, (size_t)n });
	explicit_bzero(head, sizeof(head));
	return looks;
}

bool seal_removes(const struct seal *seal, const char *path)
{
	if (is_in(PATHS_TOKEN_BACKUP, path) || strcmp(path, seal->token_file) == 0)
		return true;
	return (is_in(seal->folder, path) || is_in(PATHS_TOKENS, path)) &&
	       is_token(seal->root, path);
}

int seal_empty(const struct root *root, const char *path, bool *ret_changed,
	       struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, path, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char inner[SEAL_PATH_MAX];

		if (!text_format(inner, sizeof(inner), "%s/%s", path, *name))
			return error_set_errno(err, ENAMETOOLONG, "removing %s", path);
		if (root_remove_tree(root, inner, err) < 0)
			return -1;
	}
	*ret_changed = *names != NULL;
	return 0;
}

static int remove_tokens(const struct seal *seal, const char *folder, bool *changed,
			 struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(seal->root, folder, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[SEAL_PATH_MAX];

		if (!text_format(path, sizeof(path), "%s/%s", folder, *name))
			return error_set_errno(err, ENAMETOOLONG, "removing %s", folder);
		if (!seal_removes(seal, path))
			continue;
		if (root_remove_tree(seal->root, path, err) < 0)
			return -1;
		*changed = true;
	}
	return 0;
}

int seal_tokens(const struct seal *seal, bool *ret_changed, struct error *err)
{
	const char *file = seal->token_file;
	bool changed = false;

	if (file[0] && root_exists(seal->root, file, &changed, err) < 0)
		return -1;
	if ((changed && root_unlink(seal->root, file, err) < 0) ||
	    remove_tokens(seal, seal->folder, &changed, err) < 0 ||
	    remove_tokens(seal, PATHS_TOKENS, &changed, err) < 0 ||
	    remove_tokens(seal, PATHS_TOKEN_BACKUP, &changed, err) < 0)
		return -1;
	*ret_changed = changed;
	return 0;
}

int seal_end(const struct root *root, struct error *err)
{
	static const char *const folders[] = { "/", "/etc", "/var", "/var/log" };
	bool there;

	if (root_exists(root, PATHS_SEAL, &there, err) < 0 ||
	    (there && root_unlink(root, PATHS_SEAL, err) < 0))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (root_sync(root, folders[i], err) < 0)
			return -1;
	}
	return 0;
}
