/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/driver_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/span.h"
#include "base/text.h"
#include "model/driver/installer_list.h"
#include "model/driver/installer_log.h"
#include "model/paths.h"

#define RECORD PATHS_GRIDD_STATE "/log"
#define NOTE PATHS_JOURNAL "/driver" /* an installer is at work, or was cut off */
#define FOLDER PATHS_BACKUP "/driver"
#define PROGRAM FOLDER "/nvidia-installer"
#define MANIFEST FOLDER "/manifest"
#define BEFORE FOLDER "/before"       /* of the manifest, and was there before it */
#define INSTALLED FOLDER "/installed" /* of the record, and is to go */
#define LIST_MAX (4u << 20)
#define LOG_MAX (4u << 20)
#define UNINSTALL_S 1800

static const char *const env[] = { "TMPDIR=" PATHS_INSTALLER, NULL };

/* A list, or "" where it is not there. */
static int read_list(const struct root *root, const char *path, char **ret_text,
		     struct span *ret_span, struct error *err)
{
	struct error why = ERROR_INIT;
	size_t size = 0;

	*ret_span = (struct span){ "", 0 };
	if (file_read(root, path, LIST_MAX, ret_text, &size, &why) == 0) {
		*ret_span = (struct span){ *ret_text, size };
		return 0;
	}
	if (why.errnum == ENOENT || why.errnum == ENOTDIR)
		return 0;
	*err = why;
	return -1;
}

static bool is_same(struct span one, struct span other)
{
	return one.len == other.len && memcmp(one.at, other.at, one.len) == 0;
}

static bool has_line(struct span lines, struct span path)
{
	struct span line;

	while (span_next_line(&lines, &line)) {
		if (is_same(line, path))
			return true;
	}
	return false;
}

static bool has_entry(struct span entries, struct span path, bool kept)
{
	struct installer_entry entry;

	while (installer_list_next_entry(&entries, &entry)) {
		if ((entry.kind == INSTALLER_ENTRY_KEPT) == kept &&
		    is_same(entry.path, path))
			return true;
	}
	return false;
}

static int append_line(char **text, struct span line, struct error *err)
{
	char *longer = text_print("%s%.*s\n", *text ? *text : "", (int)line.len, line.at);

	if (!longer)
		return error_set_errno(err, ENOMEM, "listing the driver's files");
	free(*text);
	*text = longer;
	return 0;
}

static int write_list(const struct root *root, const char *path, const char *text,
		      struct error *err)
{
	if (!text)
		return root_unlink(root, path, err);
	return file_write_atomic(root, path, text, strlen(text), 0600, err);
}

/*
 * What the record says is installed: once it is gone this is all that is known. What is
 * noted already an uninstaller that was cut off has not removed.
 */
static int note_installed(const struct root *root, struct error *err)
{
	cleanup_free char *text = NULL, *lines = NULL;
	struct installer_entry entry;
	struct span record, entries, noted, version;

	if (read_list(root, RECORD, &text, &record, err) < 0)
		return -1;
	if (!installer_list_open_record(&record, &version))
		return 0;
	if (read_list(root, INSTALLED, &lines, &noted, err) < 0)
		return -1;
	entries = record;
	while (installer_list_next_entry(&entries, &entry)) {
		if (entry.kind != INSTALLER_ENTRY_KEPT &&
		    !has_entry(record, entry.path, true) &&
		    !has_line(noted, entry.path) &&
		    append_line(&lines, entry.path, err) < 0)
			return -1;
		noted = lines ? span_of(lines) : noted;
	}
	return write_list(root, INSTALLED, lines, err);
}

static size_t count_entries(struct span entries)
{
	struct installer_entry entry;
	size_t count = 0;

	while (installer_list_next_entry(&entries, &entry))
		count++;
	return count;
}

int driver_files_list(const struct root *root, char ***ret_paths, struct error *err)
{
	cleanup_free char *text = NULL;
	cleanup_strv char **paths = NULL;
	struct span entries, version;
	struct installer_entry entry;
	size_t count = 0;

	if (read_list(root, RECORD, &text, &entries, err) < 0)
		return -1;
	(void)installer_list_open_record(&entries, &version);
	paths = calloc(count_entries(entries) + 1, sizeof(*paths));
	while (paths && installer_list_next_entry(&entries, &entry)) {
		if (entry.kind == INSTALLER_ENTRY_KEPT)
			continue;
		paths[count] = strndup(entry.path.at, entry.path.len);
		if (!paths[count++])
			return error_set_errno(err, ENOMEM, "listing the driver's files");
	}
	if (!paths)
		return error_set_errno(err, ENOMEM, "listing the driver's files");
	*ret_paths = take_ptr(paths);
	return 0;
}

/* A file or link, away or onto `lines`; a folder of that name is somebody else's. */
static int take_one(const struct root *root, const char *path, char **lines,
		    bool *changed, struct error *err)
{
	struct stat st;
	bool there;

	if (root_look(root, path, &there, &st, err) < 0)
		return -1;
	if (!there || S_ISDIR(st.st_mode))
		return 0;
	if (lines)
		return append_line(lines, span_of(path), err);
	*changed = true;
	return root_unlink(root, path, err);
}

static bool has_name(struct span files, struct span name)
{
	struct installer_file file;

	while (installer_list_next_file(&files, &file)) {
		if (is_same(file.name, name))
			return true;
	}
	return false;
}

/* `stays`: the driver that is in place now names its own files by this manifest. */
static int remove_installed(const struct root *root, const char *stays, bool *changed,
			    struct error *err)
{
	cleanup_free char *text = NULL, *manifest_text = NULL;
	struct span lines, line, version, files = { "", 0 };

	if (read_list(root, INSTALLED, &text, &lines, err) < 0 ||
	    (stays && read_list(root, stays, &manifest_text, &files, err) < 0))
		return -1;
	(void)installer_list_open_manifest(&files, &version);
	while (span_next_line(&lines, &line)) {
		char path[INSTALLER_PATH_MAX];

		if (!has_name(files, span_base_name(line)) &&
		    span_copy(line, path, sizeof(path)) &&
		    take_one(root, path, NULL, changed, err) < 0)
			return -1;
	}
	return root_unlink(root, INSTALLED, err);
}

/* Where libraries and data go on one system or another. */
static const char *const folders[] = {
	"/usr/lib64",
	"/usr/lib64/vdpau",
	"/usr/lib64/gbm",
	"/usr/lib64/nvidia",
	"/usr/lib64/nvidia/wine",
	"/usr/lib64/xorg/modules/drivers",
	"/usr/lib64/xorg/modules/extensions",
	"/usr/lib64/nvidia/xorg",
	"/usr/lib",
	"/usr/lib/x86_64-linux-gnu",
	"/usr/lib/x86_64-linux-gnu/vdpau",
	"/usr/lib/x86_64-linux-gnu/gbm",
	"/usr/lib/x86_64-linux-gnu/nvidia",
	"/usr/lib/x86_64-linux-gnu/nvidia/wine",
	"/usr/lib/x86_64-linux-gnu/nvidia/xorg",
	"/usr/lib/aarch64-linux-gnu",
	"/usr/lib/aarch64-linux-gnu/vdpau",
	"/usr/lib/aarch64-linux-gnu/gbm",
	"/usr/lib/aarch64-linux-gnu/nvidia",
	"/usr/lib/nvidia",
	"/usr/lib/nvidia/xorg",
	"/usr/lib/xorg/modules/drivers",
	"/usr/lib/xorg/modules/extensions",
	"/usr/share/nvidia",
	"/usr/share/man/man1",
};

/* The paths that a file of the manifest may have, one after another; false: no more. */
static bool next_place(const struct installer_file *file, struct span version,
		       size_t *index, char ret_path[INSTALLER_PATH_MAX])
{
	size_t i = (*index)++;

	if (i == 0 && installer_list_place(file, version, ret_path))
		return true;
	if (!installer_list_is_versioned(file->name, version) || i >= ARRAY_SIZE(folders))
		return false;
	return text_format(ret_path, INSTALLER_PATH_MAX, "%s/%.*s", folders[i],
			   (int)file->name.len, file->name.at);
}

/*
 * What the manifest names, has the version in its name or was not there before, and is
 * there now without being in the record: taken away, or (`ret_lines`) listed.
 */
static int find_unrecorded(const struct root *root, char **ret_lines, bool *changed,
			   struct error *err)
{
	cleanup_free char *text = NULL, *before_text = NULL, *record_text = NULL;
	struct span files, before, record, version, installed;
	struct installer_file file;

	if (read_list(root, MANIFEST, &text, &files, err) < 0 ||
	    read_list(root, BEFORE, &before_text, &before, err) < 0 ||
	    read_list(root, RECORD, &record_text, &record, err) < 0)
		return -1;
	if (!installer_list_open_manifest(&files, &version))
		return 0;
	(void)installer_list_open_record(&record, &installed);
	while (installer_list_next_file(&files, &file)) {
		char path[INSTALLER_PATH_MAX];
		size_t index = 0;

		while (next_place(&file, version, &index, path)) {
			if (has_line(before, span_of(path)) ||
			    has_entry(record, span_of(path), false))
				continue;
			if (take_one(root, path, ret_lines, changed, err) < 0)
				return -1;
		}
	}
	return 0;
}

void driver_files_read_log(const struct root *root, int log_fd, char *ret_errors,
			   size_t size)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t length;

	ret_errors[0] = '\0';
	if (file_read(root, DRIVER_FILES_LOG, LOG_MAX, &text, &length, &ignored) < 0)
		return;
	installer_log_errors((struct span){ .at = text, .len = length }, ret_errors,
			     size);
	/* A log that cannot be written changes nothing about the outcome. */
	if (log_fd > 0 && file_write_all(log_fd, text, length, &ignored) < 0)
		return;
}

int driver_files_open_workshop(const struct root *root, struct error *err)
{
	if (root_remove_tree(root, PATHS_INSTALLER, err) < 0 ||
	    root_mkdir(root, PATHS_CACHE, 0755, err) < 0)
		return -1;
	return root_mkdir(root, PATHS_INSTALLER, 0700, err);
}

static int uninstall(struct runner *runner, const struct root *root, int log_fd,
		     struct error *err)
{
	static const char *const argv[] = { PROGRAM,
					    "--uninstall",
					    "--silent",
					    "--log-file-name=" DRIVER_FILES_LOG,
					    "--tmpdir=" PATHS_INSTALLER,
					    NULL };
	static const char *const filled[] = { "/usr", "/var/lib", PATHS_CACHE, NULL };
	struct run run = { .argv = argv,
			   .env = env,
			   .timeout_s = UNINSTALL_S,
			   .log_fd = log_fd,
			   .output_limit = 16384 };
	struct error later = ERROR_INIT;
	char errors[400];
	int result;

	if (driver_files_open_workshop(root, err) < 0)
		return -1;
	result = run_checked(runner, root, &run, err);
	driver_files_read_log(root, log_fd, errors, sizeof(errors));
	if (result < 0 && !err->interrupted) {
		(void)error_recode(err, ERROR_INSTALL);
		(void)room_explain(root, filled, err);
	}
	if (root_remove_tree(root, PATHS_INSTALLER, &later) < 0 && result == 0) {
		*err = later;
		return -1;
	}
	return result;
}

static int make_folder(const struct root *root, struct error *err)
{
	if (root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(root, PATHS_BACKUP, 0700, err) < 0 ||
	    root_mkdir(root, PATHS_JOURNAL, 0700, err) < 0)
		return -1;
	return root_mkdir(root, FOLDER, 0700, err);
}

/* One that we installed before there were copies. */
static int keep_program(const struct root *root, struct error *err)
{
	char path[128];
	bool there;

	if (root_exists(root, PROGRAM, &there, err) < 0 || there)
		return there ? 0 : -1;
	if (!run_find(root, "nvidia-uninstall", path, sizeof(path))) {
		(void)error_set(err, ERROR_INSTALL,
				"the driver's own nvidia-uninstall is not there");
		return error_hint(err, "install the driver again, then uninstall");
	}
	return file_copy(root, path, PROGRAM, err);
}

int driver_files_remove(struct runner *runner, const struct root *root, int log_fd,
			bool *ret_changed, struct error *err)
{
	bool recorded, noted, changed;
	char path[128];

	if (root_exists(root, RECORD, &recorded, err) < 0 ||
	    root_exists(root, NOTE, &noted, err) < 0)
		return -1;
	if (run_find(root, "nvidia-uninstall", path, sizeof(path)))
		recorded = true;
	if (recorded &&
	    (make_folder(root, err) < 0 || keep_program(root, err) < 0 ||
	     note_installed(root, err) < 0 || uninstall(runner, root, log_fd, err) < 0 ||
	     root_unlink(root, RECORD, err) < 0)) /* which it may have failed to do */
		return -1;
	changed = recorded;
	if (remove_installed(root, NULL, &changed, err) < 0 ||
	    (noted && find_unrecorded(root, NULL, &changed, err) < 0))
		return -1;
	*ret_changed = changed;
	return root_unlink(root, NOTE, err);
}

/* While the driver before is there, the one that was cut off has begun nothing. */
static int is_begun(const struct root *root, bool *ret_begun, struct error *err)
{
	cleanup_free char *text = NULL, *manifest_text = NULL;
	struct span record, manifest, installed, meant;
	bool noted;

	*ret_begun = false;
	if (root_exists(root, NOTE, &noted, err) < 0 ||
	    read_list(root, RECORD, &text, &record, err) < 0 ||
	    read_list(root, MANIFEST, &manifest_text, &manifest, err) < 0)
		return -1;
	if (!noted || !installer_list_open_manifest(&manifest, &meant))
		return 0;
	*ret_begun = !installer_list_open_record(&record, &installed) ||
		     is_same(installed, meant);
	return 0;
}

static int note_before(const struct root *root, struct error *err)
{
	cleanup_free char *text = NULL, *lines = NULL, *ours_text = NULL;
	struct span files, ours, version;
	struct installer_file file;

	if (read_list(root, MANIFEST, &text, &files, err) < 0 ||
	    read_list(root, INSTALLED, &ours_text, &ours, err) < 0)
		return -1;
	if (!installer_list_open_manifest(&files, &version))
		return write_list(root, BEFORE, NULL, err);
	while (installer_list_next_file(&files, &file)) {
		char path[INSTALLER_PATH_MAX];
		bool there;

		if (!installer_list_place(&file, version, path))
			continue;
		if (root_exists(root, path, &there, err) < 0)
			return -1;
		if (there && !has_line(ours, span_of(path)) &&
		    append_line(&lines, span_of(path), err) < 0)
			return -1;
	}
	return write_list(root, BEFORE, lines, err);
}

int driver_files_begin(struct runner *runner, const struct root *root, const char *tree,
		       int log_fd, struct error *err)
{
	char program[256], manifest[256];
	bool begun, changed;

	if (is_begun(root, &begun, err) < 0 ||
	    (begun && driver_files_remove(runner, root, log_fd, &changed, err) < 0) ||
	    make_folder(root, err) < 0 || root_unlink(root, NOTE, err) < 0)
		return -1;
	text_path(program, sizeof(program), "%s/nvidia-installer", tree);
	text_path(manifest, sizeof(manifest), "%s/.manifest", tree);
	if (file_copy(root, program, PROGRAM, err) < 0 ||
	    file_copy(root, manifest, MANIFEST, err) < 0 ||
	    note_installed(root, err) < 0 || note_before(root, err) < 0)
		return -1;
	return file_write_atomic(root, NOTE, "", 0, 0600, err);
}

int driver_files_end(const struct root *root, struct error *err)
{
	cleanup_free char *lines = NULL;
	bool changed = false;

	/* It goes on past a line of the record that it could not write. */
	if (remove_installed(root, MANIFEST, &changed, err) < 0 ||
	    find_unrecorded(root, &lines, &changed, err) < 0 ||
	    write_list(root, INSTALLED, lines, err) < 0)
		return -1;
	return root_unlink(root, NOTE, err);
}
