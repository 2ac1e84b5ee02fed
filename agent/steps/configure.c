/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/configure.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/gridd_conf.h"
#include "model/token.h"

#define DIR "/etc/nvidia"
#define TEMPLATE CONFIGURE_PATH ".template"
#define BACKUP_DIR "/var/lib/vgpu-guest-agent/backup"
#define BACKUP_PATH BACKUP_DIR "/gridd.conf"
#define LIMIT (1u << 20)

#define TOKEN_PATH_KEY "ClientConfigTokenPath"

/* What is there before the edit. */
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

static int source_read(struct source *source, const struct root *root, struct error *err)
{
	struct error missing = ERROR_INIT;
	struct stat st;

	source->mode = 0644;
	if (source_read_from(source, root, CONFIGURE_PATH, &missing) == 0) {
		/* Others' writing is not kept. A link's mode says nothing. */
		if (root_stat(root, CONFIGURE_PATH, &st) && S_ISREG(st.st_mode))
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

static bool is_token_dir(const char *path)
{
	return strcmp(path, TOKEN_DIR) == 0 || strcmp(path, TOKEN_DIR "/") == 0;
}

/*
 * A file that sends gridd to another folder would leave it without our token. A file
 * that does not name one is left so: TOKEN_DIR is the daemon's default.
 */
static const char *token_dir_for(struct span text, char *buffer, size_t size)
{
	if (!gridd_conf_get(text, TOKEN_PATH_KEY, buffer, size))
		return NULL;
	return is_token_dir(buffer) ? buffer : TOKEN_DIR "/";
}

/* The first time that we change a file of others, uninstall learns what it was. */
static int keep_original(const struct source *source, const struct root *root,
			 struct error *err)
{
	struct stat st;

	if (!source->exists || root_stat(root, BACKUP_PATH, &st))
		return 0;
	if (root_mkdir(root, BACKUP_DIR, 0755, err) < 0 ||
	    file_write_atomic(root, BACKUP_PATH, source->text, source->size, source->mode,
			      err) < 0)
		return error_prefix(err, "keeping the old %s", CONFIGURE_PATH);
	return 0;
}

static int write_new(const struct source *source, const char *text,
		     const struct root *root, struct error *err)
{
	if (keep_original(source, root, err) < 0 || root_mkdir(root, DIR, 0755, err) < 0)
		return -1;
	return file_write_atomic(root, CONFIGURE_PATH, text, strlen(text), source->mode,
				 err);
}

int configure_gridd(const struct settings_license *settings, const struct root *root,
		    bool dry, bool *ret_changed, char *ret_detail, size_t size,
		    struct error *err)
{
	struct gridd_conf_value values[2 + SETTINGS_GRIDD_MAX];
	char feature_type[16], token_dir[SETTINGS_PATH_MAX];
	cleanup(source_done) struct source source = { 0 };
	cleanup_free char *text = NULL;
	struct span before;
	size_t count = 0;

	if (source_read(&source, root, err) < 0)
		return -1;
	before = (struct span){ source.text ? source.text : "", source.size };

	(void)text_format(feature_type, sizeof(feature_type), "%d",
			  settings->feature_type);
	values[count++] = (struct gridd_conf_value){ "FeatureType", feature_type };
	values[count] = (struct gridd_conf_value){
		TOKEN_PATH_KEY, token_dir_for(before, token_dir, sizeof(token_dir))
	};
	if (values[count].value)
		count++;
	for (size_t i = 0; i < settings->gridd_count && i < SETTINGS_GRIDD_MAX; i++)
		values[count++] = (struct gridd_conf_value){ settings->gridd[i].key,
							     settings->gridd[i].value };

	if (gridd_conf_set(before, values, count, &text, ret_detail, size, err) < 0)
		return error_prefix(err, "%s", CONFIGURE_PATH);

	*ret_changed = !source.exists || strlen(text) != before.len ||
		       memcmp(text, before.at, before.len) != 0;
	if (!*ret_changed || dry)
		return 0;
	return write_new(&source, text, root, err);
}
