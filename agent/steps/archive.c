/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/archive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/doctor/redact.h"

#define TEMPLATE "/tmp/vgpu-guest-agent-XXXXXX"
#define NAME "vgpu-guest-agent-doctor"
#define PACKED "packed.tar.gz"
#define TEXT_MAX ((off_t)1 << 20)
#define TIMEOUT_S 30
#define PACK_TIMEOUT_S 120
#define ARGS_MAX 16

int archive_open(struct archive *archive, struct error *err)
{
	char path[96] = TEMPLATE;

	if (!mkdtemp(path))
		return error_set_errno(err, errno, "making a folder in /tmp");
	(void)text_copy(archive->path, sizeof(archive->path), path);
	text_path(path, sizeof(path), "%s/" NAME, archive->path);
	if (mkdir(path, 0700) < 0)
		return error_set_errno(err, errno, "making %s", path);
	return root_open(path, &archive->folder, err);
}

void archive_close(struct archive *archive)
{
	struct root host = ROOT_INIT;
	struct error ignored = ERROR_INIT;

	root_close(&archive->folder);
	if (archive->path[0] && root_open("/", &host, &ignored) == 0)
		if (root_remove_tree(&host, archive->path, &ignored) < 0)
			root_discard(&host, archive->path);
	root_close(&host);
	*archive = ARCHIVE_INIT;
}

int archive_add_text(struct archive *archive, const char *name, struct span text,
		     struct error *err)
{
	cleanup_free char *clean = redact_text(text);
	char path[256];

	if (!clean)
		return error_set_errno(err, ENOMEM, "gathering %s", name);
	if (!text_format(path, sizeof(path), "/%s", name))
		return error_set_errno(err, ENAMETOOLONG, "gathering %s", name);
	return file_write_atomic(&archive->folder, path, clean, strlen(clean), 0600, err);
}

static int add_reason(struct archive *archive, const char *name, const char *reason,
		      struct error *err)
{
	char text[640];

	(void)text_format(text, sizeof(text), "(not there: %s)\n", reason);
	return archive_add_text(archive, name, span_of(text), err);
}

int archive_add_file(struct archive *archive, const char *name, const struct root *root,
		     const char *path, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	cleanup_fd int fd =
		root_open_at(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0, &why);
	struct stat st;
	size_t size = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return add_reason(archive, name,
				  fd < 0 ? why.text : "it is no regular file", err);
	/* It may grow meanwhile: half of the limit is room enough. */
	if (st.st_size > TEXT_MAX / 2 && lseek(fd, -(TEXT_MAX / 2), SEEK_END) < 0)
		return add_reason(archive, name, "it cannot be read", err);
	if (file_read_fd(fd, (size_t)TEXT_MAX, &text, &size, &why) < 0)
		return add_reason(archive, name, why.text, err);
	return archive_add_text(archive, name, (struct span){ text, size }, err);
}

static bool holds_one_of(struct span line, const char *const *words)
{
	for (; *words; words++) {
		if (line.len > 0 && memmem(line.at, line.len, *words, strlen(*words)))
			return true;
	}
	return false;
}

/* In place: a line that is kept never moves to the back. */
static size_t keep_lines(char *text, size_t size, const char *const *words)
{
	struct span rest = { text, size }, line;
	size_t used = 0;

	while (span_next_line(&rest, &line)) {
		if (!holds_one_of(line, words))
			continue;
		memmove(text + used, line.at, line.len);
		used += line.len;
		text[used++] = '\n';
	}
	return used < size ? used : size;
}

int archive_add_command(struct archive *archive, const struct archive_command *command,
			struct runner *runner, const struct root *root, struct error *err)
{
	const char *words[ARGS_MAX] = { NULL };
	const struct run run = {
		.argv = words,
		.timeout_s = TIMEOUT_S,
		.output_limit = (size_t)TEXT_MAX,
	};
	cleanup(run_result_done) struct run_result result = { 0 };
	struct error why = ERROR_INIT;
	char path[256];

	for (size_t i = 1; i + 1 < ARGS_MAX && command->argv[i]; i++)
		words[i] = command->argv[i];
	words[0] = run_find(root, command->argv[0], path, sizeof(path));
	if (!words[0])
		return add_reason(archive, command->name, "no such program", err);
	if (run_command(runner, root, &run, &result, &why) < 0) {
		if (!why.interrupted)
			return add_reason(archive, command->name, why.text, err);
		*err = why;
		return -1;
	}
	if (command->only)
		result.size = keep_lines(result.output, result.size, command->only);
	return archive_add_text(archive, command->name,
				(struct span){ result.output, result.size }, err);
}

int archive_pack(struct archive *archive, struct runner *runner, const struct root *host,
		 const char *file, struct error *err)
{
	char tar[256], packed[96];
	const char *const argv[] = { tar,           "-czf",      packed,
				     "--owner=0",   "--group=0", "-C",
				     archive->path, NAME,        NULL };
	const struct run run = {
		.argv = argv,
		.timeout_s = PACK_TIMEOUT_S,
		.output_limit = 4096,
	};

	if (!run_find(host, "tar", tar, sizeof(tar)))
		return error_set(err, ERROR_PREREQUISITES,
				 "packing the archive: there is no tar");
	text_path(packed, sizeof(packed), "%s/" PACKED, archive->path);
	/* tar keeps the mode of a file that is there. */
	if (file_write_atomic(host, packed, "", 0, 0600, err) < 0 ||
	    run_checked(runner, host, &run, err) < 0)
		return error_prefix(err, "packing the archive");
	if (file_copy(host, packed, file, err) < 0) {
		(void)error_prefix(err, "writing %s", file);
		return error_recode(err, ERROR_PERMISSION);
	}
	return 0;
}
