/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>

#include "base/file.h"
#include "model/license/trace.h"
#include "worker/inflate.h"
#include "worker/job/job.h"

#define PIECE (64u << 10)
#define UNPACKED_MAX ((uint64_t)4 << 30)

/* The last in the chain of sinks: what comes is searched, and goes. */
struct searcher {
	struct sink sink;
	struct trace_scan scan;
	bool found;
};

static int search(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct searcher *searcher = (struct searcher *)sink;

	(void)err;
	searcher->found = searcher->found ||
			  trace_take(&searcher->scan, (struct span){ data, size });
	return 0;
}

static int pump(int fd, const struct searcher *searcher, struct sink *sink,
		struct error *err)
{
	char buffer[PIECE];
	uint64_t at = 0;
	size_t n;

	do {
		if (file_read_at(fd, at, buffer, sizeof(buffer), &n, err) < 0 ||
		    (n > 0 && sink_write(sink, buffer, n, err) < 0))
			return -1;
		at += n;
	} while (n == sizeof(buffer) && !searcher->found);
	return 0;
}

/* What is in order before a damage is searched, too. */
static const char *look_at(int fd, const struct trace *trace)
{
	struct searcher searcher = { .sink = { .write = search } };
	cleanup(inflate_done) struct inflate inflate = { .stream = NULL };
	struct error err = ERROR_INIT, ignored = ERROR_INIT;
	bool whole;

	trace_begin(&searcher.scan, trace);
	if (inflate_begin_gzip(&inflate, UNPACKED_MAX, &searcher.sink, &err) < 0)
		return "unread";
	whole = pump(fd, &searcher, &inflate.sink, &err) == 0 &&
		inflate_end_gzip(&inflate, &err) == 0;
	(void)!inflate_flush(&inflate, &ignored);
	if (searcher.found)
		return "token";
	return whole ? "clean" : "unread";
}

int job_search(const struct json *request, struct json **ret_result, struct error *err)
{
	const struct json *inputs = json_get(request, "inputs");
	cleanup_json struct json *contents = json_build("[]");
	struct trace trace = { .count = 0 };

	trace_read(&trace, json_get(request, "pieces"));
	for (size_t i = 0; contents && i < json_count(inputs); i++) {
		int fd = (int)json_as_int(json_at(inputs, i));

		if (json_append(contents, json_build("s", look_at(fd, &trace))) < 0)
			return error_set_errno(err, ENOMEM, "answering");
	}
	*ret_result = json_build("{s:O}", "contents", contents);
	return *ret_result ? 0 : error_set_errno(err, ENOMEM, "answering");
}
