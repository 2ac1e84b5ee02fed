/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/seal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/license/token.h"
#include "model/paths.h"

#define NAMES_MAX 1000
#define PIECE_MIN 16 /* shorter would be found everywhere */

/* From the middle: the beginning of tokens is the same everywhere. */
static void add_piece(struct seal_secrets *secrets, struct span text)
{
	size_t at, size;

	text = span_trim(text);
	size = text.len / 2 < SEAL_PIECE_SIZE ? text.len / 2 : SEAL_PIECE_SIZE;
	at = text.len / 2;
	if (size < PIECE_MIN || secrets->count == SEAL_PIECES_MAX)
		return;
	memcpy(secrets->pieces[secrets->count].bytes, text.at + at, size);
	secrets->pieces[secrets->count++].size = size;
}

static int learn_file(const struct root *root, const char *path,
		      struct seal_secrets *secrets, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct stat st;
	size_t size;
	bool there;

	if (root_look(root, path, &there, &st, err) < 0)
		return -1;
	if (!there || S_ISDIR(st.st_mode))
		return 0;
	if (file_read(root, path, TOKEN_SIZE_MAX, &text, &size, &why) < 0) {
		if (why.errnum == ENOENT)
			return 0;
		*err = why;
		return -1;
	}
	add_piece(secrets, (struct span){ text, size });
	explicit_bzero(text, size);
	return 0;
}

static int learn_folder(const struct root *root, const char *folder,
			struct seal_secrets *secrets, struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, folder, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[512];

		if (text_format(path, sizeof(path), "%s/%s", folder, *name) &&
		    learn_file(root, path, secrets, err) < 0)
			return -1;
	}
	return 0;
}

int seal_learn(const struct root *root, const char *token_file,
	       struct seal_secrets *ret_secrets, struct error *err)
{
	ret_secrets->count = 0;
	if (learn_folder(root, PATHS_TOKENS, ret_secrets, err) < 0 ||
	    learn_folder(root, PATHS_TOKEN_BACKUP, ret_secrets, err) < 0)
		return -1;
	return token_file[0] ? learn_file(root, token_file, ret_secrets, err) : 0;
}

void seal_forget(struct seal_secrets *secrets)
{
	explicit_bzero(secrets, sizeof(*secrets));
}

int seal_empty(const struct root *root, const char *path, bool *ret_changed,
	       struct error *err)
{
	cleanup_strv char **names = NULL;

	if (root_list(root, path, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char inner[512];

		if (!text_format(inner, sizeof(inner), "%s/%s", path, *name))
			return error_set_errno(err, ENAMETOOLONG, "removing %s", path);
		if (root_remove_tree(root, inner, err) < 0)
			return -1;
	}
	*ret_changed = *names != NULL;
	return 0;
}

int seal_tokens(const struct root *root, const char *token_file, bool *ret_changed,
		struct error *err)
{
	bool installed, kept, named = false;

	if (token_file[0] && root_exists(root, token_file, &named, err) < 0)
		return -1;
	if (named && root_unlink(root, token_file, err) < 0)
		return -1;
	if (seal_empty(root, PATHS_TOKENS, &installed, err) < 0 ||
	    seal_empty(root, PATHS_TOKEN_BACKUP, &kept, err) < 0)
		return -1;
	*ret_changed = named || installed || kept;
	return 0;
}

int seal_sync(const struct root *root, struct error *err)
{
	static const char *const folders[] = { "/", "/etc", "/var", "/var/log" };

	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		struct stat st;
		bool there;

		if (root_look(root, folders[i], &there, &st, err) < 0)
			return -1;
		if (!there || !S_ISDIR(st.st_mode))
			continue;
		cleanup_fd int fd =
			root_open_at(root, folders[i], O_RDONLY | O_DIRECTORY, 0, err);
		if (fd < 0)
			return -1;
		if (syncfs(fd) < 0)
			return error_set_errno(err, errno, "syncing %s", folders[i]);
	}
	return 0;
}
