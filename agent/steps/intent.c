/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/intent.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "base/file.h"
#include "base/json.h"
#include "base/text.h"
#include "model/paths.h"

#define NOTE_MAX (16u << 10)
#define CONTENT_MAX (1u << 20) /* of the files themselves */
#define PRINT_SIZE 48
#define PATH_SIZE 512

static const struct {
	const char *entry, *note, *backup, *folder;
} places[] = {
	[INTENT_CONF] = { PATHS_JOURNAL "/gridd.conf.json",
			  PATHS_BACKUP "/gridd.conf.json", PATHS_BACKUP_CONF,
			  PATHS_BACKUP },
	[INTENT_TOKEN] = { PATHS_JOURNAL "/token.json", PATHS_BACKUP "/token.json",
			   PATHS_TOKEN_BACKUP "/client_configuration_token.tok",
			   PATHS_TOKEN_BACKUP },
};
_Static_assert(ARRAY_SIZE(places) == INTENT_COUNT_, "each has its places");

/* An entry or a note, as it is on the disk. */
struct record {
	bool was_there;
	char path[PATH_SIZE];
	char print[PRINT_SIZE]; /* of the bytes that we put there */
};

const char *intent_backup(enum intent intent)
{
	return places[intent].backup;
}

static void print_of(struct span content, char print[PRINT_SIZE])
{
	(void)snprintf(print, PRINT_SIZE, "%016" PRIx64 "-%zu", span_hash(content),
		       content.len);
}

static int record_write(const struct root *root, const char *file,
			const struct record *record, struct error *err)
{
	cleanup_json struct json *json =
		json_build("{s:i, s:s, s:b, s:s}", "schema", 1, "path", record->path,
			   "was_there", record->was_there, "print", record->print);
	cleanup_free char *text = json ? json_print(json) : NULL;

	if (!text)
		return error_set_errno(err, ENOMEM, "writing %s", file);
	return file_write_atomic(root, file, text, strlen(text), 0600, err);
}

/* Not there: no error, `ret_there` is false. One that cannot be understood is one. */
static int record_read(const struct root *root, const char *file,
		       struct record *ret_record, bool *ret_there, struct error *err)
{
	cleanup_json struct json *json = NULL;
	cleanup_free char *text = NULL;
	struct error why = ERROR_INIT;
	struct record record = { 0 };
	const char *path, *print;
	size_t size;

	*ret_there = false;
	if (file_read(root, file, NOTE_MAX, &text, &size, &why) < 0) {
		if (why.errnum == ENOENT || why.errnum == ENOTDIR)
			return 0;
		*err = why;
		return -1;
	}
	if (json_parse(text, size, &json, &why) < 0 && why.errnum == ENOMEM) {
		*err = why;
		return error_prefix(err, "%s", file);
	}
	path = json_get_string(json, "path");
	print = json_get_string(json, "print");
	if (json_get_int(json, "schema", 0) != 1 || !path || !print ||
	    !text_copy(record.path, sizeof(record.path), path) ||
	    !text_copy(record.print, sizeof(record.print), print)) {
		(void)error_set(err, ERROR_INTERNAL, "%s is damaged", file);
		return error_hint(err,
				  "it says what was done to the file that it names: "
				  "see that this one is as it should be, then remove %s",
				  file);
	}
	record.was_there = json_get_bool(json, "was_there", false);
	*ret_record = record;
	*ret_there = true;
	return 0;
}

/* Whether the file at `path` has these bytes. */
static int has_print(const struct root *root, const char *path, const char *print,
		     bool *ret_has, struct error *err)
{
	cleanup_free char *text = NULL;
	struct error why = ERROR_INIT;
	char found[PRINT_SIZE];
	size_t size;

	*ret_has = false;
	if (file_read(root, path, CONTENT_MAX, &text, &size, &why) < 0) {
		/* Not there, no file, or larger than all that we write. */
		if (why.errnum == ENOENT || why.errnum == ENOTDIR || !why.errnum)
			return 0;
		*err = why;
		return -1;
	}
	print_of((struct span){ text, size }, found);
	explicit_bzero(text, size);
	*ret_has = strcmp(found, print) == 0;
	return 0;
}

static int make_folders(const struct root *root, struct error *err)
{
	if (root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(root, PATHS_BACKUP, 0700, err) < 0)
		return -1;
	return root_mkdir(root, PATHS_JOURNAL, 0700, err);
}

/* Keeps what others have there; true in `was_there` also where it is kept already. */
static int keep(const struct root *root, enum intent intent, const char *path,
		bool *was_there, struct error *err)
{
	const char *backup = places[intent].backup;
	struct stat st;

	if (root_look(root, backup, was_there, &st, err) < 0)
		return -1;
	if (*was_there)
		return 0;
	if (root_look(root, path, was_there, &st, err) < 0)
		return -1;
	if (*was_there && (root_mkdir(root, places[intent].folder, 0700, err) < 0 ||
			   file_copy(root, path, backup, err) < 0)) {
		/* A link that leads nowhere holds nothing to be kept. */
		if (err->errnum != ENOENT || !S_ISLNK(st.st_mode))
			return error_prefix(err, "keeping the old %s", path);
		*err = ERROR_INIT;
		*was_there = false;
	}
	return 0;
}

int intent_begin(const struct root *root, enum intent intent, const char *path,
		 struct span coming, struct error *err)
{
	struct record record = { 0 }, note = { 0 };
	bool noted;

	if (!text_copy(record.path, sizeof(record.path), path))
		return error_set_errno(err, ENAMETOOLONG, "changing %s", path);
	print_of(coming, record.print);
	if (make_folders(root, err) < 0 ||
	    record_read(root, places[intent].note, &note, &noted, err) < 0)
		return -1;
	record.was_there = note.was_there;
	if (!noted && keep(root, intent, path, &record.was_there, err) < 0)
		return -1;
	return record_write(root, places[intent].entry, &record, err);
}

int intent_end(const struct root *root, enum intent intent, struct error *err)
{
	struct record record;
	bool there;

	if (record_read(root, places[intent].entry, &record, &there, err) < 0)
		return -1;
	if (!there)
		return 0;
	if (make_folders(root, err) < 0 ||
	    record_write(root, places[intent].note, &record, err) < 0)
		return -1;
	return root_unlink(root, places[intent].entry, err);
}

int intent_recover(const struct root *root, struct error *err)
{
	for (int i = 0; i < INTENT_COUNT_; i++) {
		struct record record;
		bool there, done;

		if (record_read(root, places[i].entry, &record, &there, err) < 0)
			return -1;
		if (!there)
			continue;
		file_discard_new(root, record.path);
		if (has_print(root, record.path, record.print, &done, err) < 0)
			return -1;
		if ((done ? intent_end(root, (enum intent)i, err)
			  : root_unlink(root, places[i].entry, err)) < 0)
			return -1;
	}
	return 0;
}

int intent_look(const struct root *root, enum intent intent, const char *path,
		struct intent_note *ret_note, struct error *err)
{
	struct intent_note note = { 0 };
	struct record record = { 0 };

	if (record_read(root, places[intent].note, &record, &note.known, err) < 0)
		return -1;
	note.was_there = record.was_there;
	if (note.known && has_print(root, path, record.print, &note.ours, err) < 0)
		return -1;
	*ret_note = note;
	return 0;
}
