/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/span.h"
#include "base/text.h"
#include "model/repository/index.h"
#include "steps/entry.h"

struct named {
	const char *path; /* as the caller wrote it */
	const char *name; /* its last component */
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct named *)a)->name, ((const struct named *)b)->name);
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

static int next_serial(const struct context *ctx, const char *previous,
		       int64_t *ret_serial, struct error *err)
{
	cleanup_index struct index *index = NULL;
	cleanup_free char *text = NULL;
	cleanup_fd int fd = -1;
	size_t size;

	*ret_serial = 1;
	if (!previous)
		return 0;
	if (open_callers(ctx, previous, &fd, err) < 0 ||
	    file_read_fd(fd, INDEX_SIZE_MAX, &text, &size, err) < 0 ||
	    parse(text, size, &index, err) < 0)
		return error_prefix(err, "--previous %s", previous);
	*ret_serial = index->serial + 1;
	return 0;
}

static int created(char ret_text[static CLOCK_TEXT_SIZE], struct error *err)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t seconds = (uint64_t)clock_now();

	if (epoch && (!span_to_u64(span_of(epoch), &seconds) || seconds > UINT32_MAX))
		return error_set(err, ERROR_USAGE,
				 "SOURCE_DATE_EPOCH=%.40s: seconds since 1970 are "
				 "expected",
				 epoch);
	(void)clock_text((int64_t)seconds, ret_text, CLOCK_TEXT_SIZE);
	return 0;
}

static int sort(const char *const *names, size_t count, struct named *files,
		struct error *err)
{
	for (size_t i = 0; i < count; i++) {
		files[i].path = names[i];
		files[i].name = text_base_name(names[i]);
	}
	qsort(files, count, sizeof(*files), by_name);
	for (size_t i = 1; i < count; i++) {
		if (by_name(&files[i - 1], &files[i]) == 0)
			return error_set(err, ERROR_USAGE, "%s is given twice",
					 files[i].name);
	}
	return 0;
}

static int add_file(const struct context *ctx, const struct named *file,
		    struct json *files, struct json *modules, struct error *err)
{
	struct json *entry = NULL;
	cleanup_fd int fd = -1;
	bool is_modules;

	log_line(LOG_LEVEL_NOTICE, "index      reading %s", file->name);
	if (open_callers(ctx, file->path, &fd, err) < 0)
		return -1;
	if (entry_read(ctx->channel, fd, file->name, &entry, &is_modules, err) < 0)
		return error_prefix(err, "%s", file->name);
	return json_append(is_modules ? modules : files, entry) < 0 ? out_of_memory(err)
								    : 0;
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

int command_index(struct agent *agent, const struct request *request,
		  struct json **ret_report, struct error *err)
{
	cleanup_json struct json *files = json_build("[]"), *modules = json_build("[]");
	size_t count = request->operand_count;
	cleanup_free struct named *sorted = calloc(count + 1, sizeof(*sorted));
	cleanup_json struct json *index = NULL;
	char now[CLOCK_TEXT_SIZE];
	int64_t serial;

	if (!files || !modules || !sorted)
		return out_of_memory(err);
	if (count == 0)
		return error_set(err, ERROR_USAGE, "which files?");
	if (sort(request->operands, count, sorted, err) < 0 || created(now, err) < 0 ||
	    next_serial(&agent->context, request->previous, &serial, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++) {
		if (add_file(&agent->context, &sorted[i], files, modules, err) < 0)
			return -1;
	}

	index = json_build("{s:i, s:I, s:s, s:O, s:O}", "schema", 1, "serial", serial,
			   "created", now, "files", files, "modules", modules);
	if (!index)
		return out_of_memory(err);
	if (prove(index, err) < 0)
		return -1;
	*ret_report = take_ptr(index);
	return 0;
}
