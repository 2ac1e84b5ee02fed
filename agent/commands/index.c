/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/span.h"
#include "base/text.h"
#include "commands/output.h"
#include "model/repository/index.h"
#include "model/repository/index_merge.h"
#include "model/repository/manifest.h"
#include "steps/entry.h"

#define DAY_S 86400
#define NOTE_SIZE_MAX 65536

/* A file of the caller's that goes into the index. */
struct source {
	const char *path;            /* as the caller wrote it */
	char name[PACKAGE_NAME_MAX]; /* in the index */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct source *)a)->name, ((const struct source *)b)->name);
}

static int out_of_memory(struct error *err)
{
	return error_set_errno(err, ENOMEM, "making the index");
}

static int open_callers(const struct context *ctx, const char *path, int *ret_fd,
			struct error *err)
{
	cleanup_free char *absolute = root_absolute(path);
	cleanup_fd int fd = -1;
	struct stat st;

	if (!absolute)
		return error_set_errno(err, errno, "%s", path);
	fd = root_open_at(&ctx->caller, absolute, O_RDONLY | O_NONBLOCK, 0, err);
	if (fd < 0)
		return error_recode(err, err->code == ERROR_INTERNAL ? ERROR_USAGE
								     : err->code);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return error_set(err, ERROR_USAGE, "%s is no regular file", path);
	*ret_fd = take_fd(fd);
	return 0;
}

static int parse(const char *text, size_t size, struct index **ret_index,
		 struct error *err)
{
	cleanup_json struct json *json = NULL;

	if (size > INDEX_SIZE_MAX)
		return error_set(err, ERROR_INTEGRITY, "it is larger than %u MiB",
				 INDEX_SIZE_MAX >> 20);
	if (json_parse(text, size, &json, err) < 0)
		return error_recode(err, ERROR_INTEGRITY);
	return index_from_json(json, ret_index, err);
}

/* What is beside the drivers anyway, where the caller said "*". */
static bool is_own(const char *path)
{
	static const char *const own[] = { INDEX_FILE, INDEX_FILE ".sig",
					   "PULP_MANIFEST" };

	for (size_t i = 0; i < ARRAY_SIZE(own); i++) {
		if (strcmp(text_base_name(path), own[i]) == 0)
			return true;
	}
	return false;
}

/*
 * The index lies at the top of its repository: a file below the folder of the output has
 * its path from there as its name. Elsewhere the caller's own relative path is all that
 * is known.
 */
static int name_source(const char *output, struct source *source, struct error *err)
{
	cleanup_free char *absolute = root_absolute(source->path);
	cleanup_free char *top = output ? root_absolute(output) : NULL;
	const char *name = text_base_name(source->path), *relative = source->path;
	size_t top_size;

	if (!absolute || (output && !top))
		return out_of_memory(err);
	top_size = top ? (size_t)(text_base_name(top) - top) : 0;
	while (text_starts(relative, "./"))
		relative += 2;

	if (top && strcmp(text_base_name(top), INDEX_FILE) == 0 &&
	    strncmp(absolute, top, top_size) == 0 &&
	    manifest_path_is_safe(span_of(absolute + top_size)))
		name = absolute + top_size;
	else if (relative[0] != '/' && manifest_path_is_safe(span_of(relative)))
		name = relative;
	if (!text_copy(source->name, sizeof(source->name), name))
		return error_set(err, ERROR_USAGE, "%.60s...: the name is too long",
				 name);
	return 0;
}

static int list_sources(const struct request *request, struct source *sources,
			size_t *ret_count, struct error *err)
{
	size_t count = 0;

	for (size_t i = 0; i < request->operand_count; i++) {
		if (is_own(request->operands[i])) {
			log_line(LOG_LEVEL_INFO, "index      skipping %s",
				 request->operands[i]);
			continue;
		}
		sources[count].path = request->operands[i];
		if (name_source(request->output, &sources[count++], err) < 0)
			return -1;
	}
	if (count == 0 && !request->previous) {
		(void)error_set(err, ERROR_USAGE, "which files?");
		return error_hint(err, "name the guest drivers: "
				       "vgpu-guest-agent index FILE...");
	}

	qsort(sources, count, sizeof(*sources), by_name);
	for (size_t i = 1; i < count; i++) {
		if (by_name(&sources[i - 1], &sources[i]) == 0)
			return error_set(err, ERROR_USAGE, "%s is given twice",
					 sources[i].name);
	}
	*ret_count = count;
	return 0;
}

static int refuse_same(const struct context *ctx, const char *path,
		       const struct stat *output, struct error *err)
{
	cleanup_fd int fd = -1;
	struct stat st;

	if (open_callers(ctx, path, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", path);
	if (st.st_dev != output->st_dev || st.st_ino != output->st_ino)
		return 0;
	(void)error_set(err, ERROR_USAGE, "--output would overwrite %s, which is read",
			path);
	return error_hint(err, "write beside it, and rename it afterwards");
}

static int check_output(const struct context *ctx, const struct request *request,
			const struct source *sources, size_t count, struct error *err)
{
	char path[PATH_MAX];
	struct stat st;

	if (!request->output)
		return 0;
	if (command_output_judge(ctx, "--output", request->output, path, sizeof(path),
				 &st, err) < 0)
		return -1;
	if (st.st_mode == 0)
		return 0;
	if (request->previous && refuse_same(ctx, request->previous, &st, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (refuse_same(ctx, sources[i].path, &st, err) < 0)
			return -1;
	}
	return 0;
}

/* Each is there and can be read: the last one is not found missing after hours. */
static int check_sources(const struct context *ctx, const struct source *sources,
			 size_t count, struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		cleanup_fd int fd = -1;

		if (open_callers(ctx, sources[i].path, &fd, err) < 0)
			return -1;
	}
	return 0;
}

/* `ret_json` stays NULL where there is none before. */
static int read_previous(const struct context *ctx, const struct request *request,
			 struct json **ret_json, struct error *err)
{
	cleanup_index struct index *index = NULL;
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	size_t size;

	if (!request->previous)
		return 0;
	if (open_callers(ctx, request->previous, &fd, err) < 0 ||
	    file_read_fd(fd, INDEX_SIZE_MAX, &text, &size, err) < 0 ||
	    parse(text, size, &index, err) < 0)
		return error_prefix(err, "--previous %s", request->previous);
	if (index->warning_count > 0)
		return error_set(err, ERROR_INTEGRITY, "--previous %s: %s",
				 request->previous, index->warnings[0]);
	return json_parse(text, size, ret_json, err);
}

/* False where SOURCE_DATE_EPOCH does not stand in the environment. */
static int epoch(bool *ret_given, int64_t *ret_time, struct error *err)
{
	const char *text = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds = 0;

	if (text && (!span_to_u64(span_of(text), &seconds) || seconds > UINT32_MAX))
		return error_set(err, ERROR_USAGE,
				 "SOURCE_DATE_EPOCH=%.40s: seconds since 1970 are "
				 "expected",
				 text);
	*ret_given = text != NULL;
	*ret_time = (int64_t)seconds;
	return 0;
}

/* The entries of an index, as they are collected. */
struct lists {
	struct json *files, *modules, *builds;
};

static int read_note(int fd, struct json **ret_entry, struct error *err)
{
	cleanup_json struct json *json = NULL;
	struct index_build build = { .ok = false };
	cleanup_free char *text = NULL;
	const char *wrong;
	size_t size;

	if (file_read_fd(fd, NOTE_SIZE_MAX, &text, &size, err) < 0)
		return -1;
	if (json_parse(text, size, &json, err) < 0)
		return error_recode(err, ERROR_INTEGRITY);
	wrong = index_build_from_json(json, &build);
	if (wrong)
		return error_set(err, ERROR_INTEGRITY, "this note of a build %s", wrong);
	*ret_entry = index_json_build(&build);
	return *ret_entry ? 0 : out_of_memory(err);
}

/* `ret_list`: where the entry belongs. */
static int read_source(const struct context *ctx, const struct source *source, int fd,
		       const struct lists *lists, struct json **ret_list,
		       struct json **ret_entry, struct error *err)
{
	bool is_modules;

	if (index_is_note(source->name)) {
		*ret_list = lists->builds;
		return read_note(fd, ret_entry, err);
	}
	if (entry_read(ctx->channel, fd, source->name, ret_entry, &is_modules, err) < 0)
		return -1;
	*ret_list = is_modules ? lists->modules : lists->files;
	return 0;
}

/* Appends what is said of the file; `newest` rises to its time. */
static int add_source(const struct context *ctx, const struct source *source,
		      const struct lists *lists, int64_t *newest, struct error *err)
{
	struct json *entry = NULL, *list = NULL;
	cleanup_fd int fd = -1;
	struct stat st;

	log_line(LOG_LEVEL_NOTICE, "index      reading %s", source->name);
	if (open_callers(ctx, source->path, &fd, err) < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "%s", source->path);
	if (read_source(ctx, source, fd, lists, &list, &entry, err) < 0)
		return error_prefix(err, "%s", source->name);
	if (st.st_mtim.tv_sec > *newest)
		*newest = st.st_mtim.tv_sec;
	return json_append(list, entry) < 0 ? out_of_memory(err) : 0;
}

/* What --drop names, by the names alone: the files are still to be read. */
static int check_drops(const struct index_merge *merge, const struct source *sources,
		       size_t count, struct error *err)
{
	cleanup_json struct json *names = json_build("[]");
	struct index_merge foreseen = *merge;

	for (size_t i = 0; i < count; i++) {
		const char *name = sources[i].name;

		if (json_append(names, json_build("{s:o}", "name", json_words(name))) < 0)
			return out_of_memory(err);
	}
	if (!names)
		return out_of_memory(err);
	foreseen.files = names;
	return index_merge_check(&foreseen, err);
}

/* A guest will read it: what it would not understand is not written. */
static int prove(const struct json *json, struct error *err)
{
	cleanup_index struct index *index = NULL;
	cleanup_free char *text = json_print(json);

	if (!text)
		return out_of_memory(err);
	if (parse(text, strlen(text), &index, err) < 0)
		return error_prefix(err, "the index cannot be used");
	return index->warning_count > 0
		       ? error_set(err, ERROR_INTEGRITY, "the index cannot be used: %s",
				   index->warnings[0])
		       : 0;
}

static int write_output(const struct context *ctx, const char *output,
			const struct json *index, struct error *err)
{
	cleanup_free char *path = output ? root_absolute(output) : NULL;
	cleanup_free char *text = json_print(index);
	cleanup_free char *line = text ? text_print("%s\n", text) : NULL;

	if (!output)
		return 0;
	if (!path || !line)
		return out_of_memory(err);
	if (file_write_atomic(&ctx->caller, path, line, strlen(line), 0644, err) == 0)
		return 0;
	return error_recode(err,
			    err->code == ERROR_INTERNAL ? ERROR_PERMISSION : err->code);
}

/* The merge's times out of the clock, the environment and the newest file. */
static int date(const struct request *request, int64_t newest, struct index_merge *merge,
		char texts[static 3 * CLOCK_TEXT_SIZE], struct error *err)
{
	char *created = texts, *expires = created + CLOCK_TEXT_SIZE;
	char *file = expires + CLOCK_TEXT_SIZE;
	int64_t now = 0;
	bool given = false;

	if (epoch(&given, &now, err) < 0)
		return -1;
	if (given)
		merge->epoch = clock_text(now, created, CLOCK_TEXT_SIZE);
	if (newest >= 0)
		merge->newest = clock_text(newest, file, CLOCK_TEXT_SIZE);
	if (!request->expires)
		return 0;

	expires[0] = '\0';
	merge->expires = expires;
	if (request->expires_days > 0)
		(void)clock_text((given ? now : clock_now()) +
					 (int64_t)request->expires_days * DAY_S,
				 expires, CLOCK_TEXT_SIZE);
	return 0;
}

static int make(const struct context *ctx, const struct request *request,
		const struct source *sources, size_t count, struct json **ret_index,
		struct error *err)
{
	cleanup_json struct json *files = json_build("[]"), *modules = json_build("[]");
	cleanup_json struct json *builds = json_build("[]");
	const struct lists lists = { files, modules, builds };
	cleanup_json struct json *previous = NULL;
	char texts[3 * CLOCK_TEXT_SIZE];
	struct index_merge merge = { .files = files,
				     .modules = modules,
				     .builds = builds,
				     .drops = request->drops,
				     .drop_count = request->drop_count };
	int64_t newest = -1;

	if (!files || !modules || !builds)
		return out_of_memory(err);
	if (date(request, newest, &merge, texts, err) < 0 ||
	    read_previous(ctx, request, &previous, err) < 0)
		return -1;
	merge.previous = previous;
	if (check_drops(&merge, sources, count, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (add_source(ctx, &sources[i], &lists, &newest, err) < 0)
			return -1;
	}
	if (date(request, newest, &merge, texts, err) < 0 ||
	    index_merge(&merge, ret_index, err) < 0)
		return -1;
	return prove(*ret_index, err);
}

int command_index(struct agent *agent, const struct request *request,
		  struct json **ret_report, struct error *err)
{
	const struct context *ctx = &agent->context;
	cleanup_free struct source *sources =
		calloc(request->operand_count + 1, sizeof(*sources));
	cleanup_json struct json *index = NULL;
	size_t count;

	if (!sources)
		return out_of_memory(err);
	if (list_sources(request, sources, &count, err) < 0 ||
	    check_sources(ctx, sources, count, err) < 0 ||
	    check_output(ctx, request, sources, count, err) < 0 ||
	    make(ctx, request, sources, count, &index, err) < 0 ||
	    write_output(ctx, request->output, index, err) < 0)
		return -1;

	*ret_report = take_ptr(index);
	return 0;
}
