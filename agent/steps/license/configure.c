/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/configure.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/license/gridd_conf.h"
#include "model/license/token.h"
#include "model/paths.h"
#include "steps/intent.h"

#define TEMPLATE PATHS_GRIDD_CONF ".template"
#define LIMIT (1u << 20)

#define TOKEN_PATH_KEY "ClientConfigTokenPath"

/* gridd.conf as it is before the edit, or NVIDIA's template where there is none. */
struct source {
	char *text;
	size_t size;
	mode_t mode; /* for the new file */
	bool exists; /* it is gridd.conf itself, not the template and not nothing */
};

static void source_done(struct source *source)
{
	free(source->text);
}

/* -1 also when it is not there; then `err->errnum` is ENOENT. */
static int source_read_from(struct source *source, const struct root *root,
			    const char *path, struct error *err)
{
	return file_read(root, path, LIMIT, &source->text, &source->size, err);
}

/*
 * gridd.conf, else NVIDIA's template beside it, else an empty text. A file that is there
 * and cannot be read is an error: to go on would overwrite it.
 */
static int source_read(struct source *source, const struct root *root, struct error *err)
{
	struct error missing = ERROR_INIT;
	struct stat st;
	bool there;

	source->mode = 0644;
	if (source_read_from(source, root, PATHS_GRIDD_CONF, &missing) == 0) {
		if (root_look(root, PATHS_GRIDD_CONF, &there, &st, err) < 0)
			return -1;
		/* Others' writing is not kept. A link's mode says nothing. */
		if (there && S_ISREG(st.st_mode))
			source->mode = st.st_mode & 0755;
		source->exists = true;
		return 0;
	}

	if (missing.errnum == ENOENT &&
	    source_read_from(source, root, TEMPLATE, &missing) == 0)
		return 0;
	if (missing.errnum == ENOENT)
		return 0;

	*err = missing;
	return -1;
}

/*
 * The folder that a site has chosen is the token's folder, and stays. Only what is no
 * folder is put right: gridd would find no token there, and neither would we. A file that
 * does not name one is left so: PATHS_TOKENS is the daemon's default.
 */
static const char *token_dir_for(struct span text, char *buffer, size_t size)
{
	if (!gridd_conf_get(text, TOKEN_PATH_KEY, buffer, size))
		return NULL;
	return buffer[0] == '/' ? buffer : PATHS_TOKENS "/";
}

static int write_new(const struct source *source, const char *text,
		     const struct root *root, struct error *err)
{
	if (intent_begin(root, INTENT_CONF, PATHS_GRIDD_CONF, span_of(text), err) < 0 ||
	    root_mkdir(root, PATHS_NVIDIA, 0755, err) < 0 ||
	    file_write_atomic(root, PATHS_GRIDD_CONF, text, strlen(text), source->mode,
			      err) < 0)
		return -1;
	return intent_end(root, INTENT_CONF, err);
}

/* The options that the settings want, and the token's folder where it must be said. */
struct wishes {
	struct gridd_conf_value values[2 + SETTINGS_GRIDD_MAX];
	size_t count;
	char feature_type[16];
	char token_dir[SETTINGS_PATH_MAX];
};

static void wishes_collect(struct wishes *wishes, const struct settings_license *settings,
			   struct span before)
{
	const char *token_dir =
		token_dir_for(before, wishes->token_dir, sizeof(wishes->token_dir));

	(void)text_format(wishes->feature_type, sizeof(wishes->feature_type), "%d",
			  settings->feature_type);
	wishes->values[wishes->count++] =
		(struct gridd_conf_value){ "FeatureType", wishes->feature_type };
	if (token_dir)
		wishes->values[wishes->count++] =
			(struct gridd_conf_value){ TOKEN_PATH_KEY, token_dir };
	for (size_t i = 0; i < settings->gridd_count && i < SETTINGS_GRIDD_MAX; i++)
		wishes->values[wishes->count++] =
			(struct gridd_conf_value){ settings->gridd[i].key,
						   settings->gridd[i].value };
}

static void edit_done(struct gridd_conf_edit *edit)
{
	free(edit->text);
}

int configure_gridd(const struct settings_license *settings, const struct root *root,
		    bool dry, struct configure_result *ret_result, struct error *err)
{
	cleanup(source_done) struct source source = { 0 };
	cleanup(edit_done) struct gridd_conf_edit edit = { 0 };
	struct configure_result result = { 0 };
	struct wishes wishes = { 0 };
	struct span before;

	if (source_read(&source, root, err) < 0)
		return -1;
	before = (struct span){ source.text ? source.text : "", source.size };

	wishes_collect(&wishes, settings, before);
	if (gridd_conf_set(before, wishes.values, wishes.count, &edit, err) < 0)
		return error_prefix(err, "%s", PATHS_GRIDD_CONF);

	(void)text_copy(result.detail, sizeof(result.detail), edit.detail);
	result.changed = !source.exists || !span_equals(before, edit.text);
	if (result.changed && !dry && write_new(&source, edit.text, root, err) < 0)
		return -1;

	*ret_result = result;
	return 0;
}
