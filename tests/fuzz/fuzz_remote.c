/* SPDX-License-Identifier: Apache-2.0 */

/*
 * What the fetch worker hears of a net worker that says what it likes, in pieces of any
 * size. The first byte says what was asked for, the second the size of the pieces, the
 * rest comes through the pipe. Two files are asked for, then the interfaces.
 */

#include "worker/remote.h"

#include "fuzz/fuzz.h"

#define QUESTIONS 70001 /* above every descriptor that is there */
#define ANSWERS 70002

static struct span said;
static size_t piece;

__typeof__(read) __real_read;
__typeof__(write) __real_write;
__typeof__(read) __wrap_read;
__typeof__(write) __wrap_write;

ssize_t __wrap_read(int fd, void *buffer, size_t size)
{
	size_t n = said.len < piece ? said.len : piece;

	if (fd != ANSWERS)
		return __real_read(fd, buffer, size);
	if (n > size)
		n = size;
	memcpy(buffer, said.at, n);
	said.at += n;
	said.len -= n;
	return (ssize_t)n;
}

ssize_t __wrap_write(int fd, const void *data, size_t size)
{
	return fd == QUESTIONS ? (ssize_t)size : __real_write(fd, data, size);
}

struct taking {
	struct sink sink;
	uint64_t have, begin, most;
};

static int take(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct taking *taking = (struct taking *)(void *)sink;

	(void)err;
	fuzz_require(size > 0 && memchr(data, *(const char *)data, size));
	taking->have += size;
	fuzz_require(taking->have <= taking->most);
	return 0;
}

static int restart(struct sink *sink, struct error *err)
{
	struct taking *taking = (struct taking *)(void *)sink;

	(void)err;
	taking->have = taking->begin;
	return 0;
}

static void get(struct remote *remote, uint8_t choice)
{
	static const struct http_request requests[] = {
		{ .url = "http://a/", .limit = 40 },
		{ .url = "http://a/", .limit = 40, .total = 6 },
		{ .url = "http://a/", .limit = 40, .total = 6, .offset = 2 },
		{ .url = "http://a/", .first = 8, .end = 14 },
	};
	const struct http_request *request = &requests[choice % ARRAY_SIZE(requests)];
	struct taking taking = {
		.sink = { .write = take, .restart = restart },
		.have = request->end ? request->first : request->offset,
		.begin = request->end ? request->first : 0,
		.most = request->end ? request->end : request->limit,
	};
	struct http_answer answer;
	struct error err = ERROR_INIT;

	if (remote_get(remote, request, &taking.sink, &answer, &err) < 0) {
		fuzz_require(err.code != ERROR_NONE && err.text[0]);
		fuzz_require(fuzz_is_printable(err.text) && fuzz_is_printable(err.hint));
		return;
	}
	fuzz_require(!request->end || taking.have == request->end);
	fuzz_require(!request->total || taking.have == request->total);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_json struct json *request =
		json_build("{s:i, s:i}", "questions", QUESTIONS, "answers", ANSWERS);
	cleanup_json struct json *urls = NULL;
	cleanup_remote struct remote *remote = NULL;
	struct error err = ERROR_INIT;

	if (size < 2 || remote_open(request, &remote, &err) < 0)
		return 0;
	piece = (size_t)data[1] * 16 + 1;
	said = (struct span){ (const char *)data + 2, size - 2 };

	get(remote, data[0]);
	get(remote, data[0] / 4);
	if (remote_link_local(remote, &urls, &err) == 0)
		fuzz_require(urls != NULL);
	return 0;
}
