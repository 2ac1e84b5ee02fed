/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/seal.h that reads files, whatever they are packed in. */

#include "steps/seal.h"

#include <errno.h>
#include <string.h>

#define CHUNK (256u << 10)
#define HEAD 8
#define JOURNAL "LPKSHHRH"

/* What the first bytes of a file say of it: no token is copied into a program, and what
 * nobody here unpacks is told. */
static const struct {
	const char *magic;
	size_t size;
	enum seal_content content;
} kinds[] = {
	{ "\x1f\x8b", 2, SEAL_PACKED },
	{ "\x7f"
	  "ELF",
	  4, SEAL_CLEAN },
	{ "!<arch>\n", 8, SEAL_CLEAN },
	{ "\xfd"
	  "7zXZ",
	  5, SEAL_UNREAD },
	{ "BZh", 3, SEAL_UNREAD },
	{ "\x28\xb5\x2f\xfd", 4, SEAL_UNREAD },
	{ "\x04\x22\x4d\x18", 4, SEAL_UNREAD },
};

/* To its end, or to the first token. */
static int look_plain(const struct seal *seal, int fd, enum seal_content *ret_content,
		      struct error *err)
{
	static char buffer[CHUNK];
	struct trace_scan scan;
	off_t at = 0;
	ssize_t n = 0;
	int result = 0;

	trace_begin(&scan, &seal->trace);
	*ret_content = SEAL_CLEAN;
	while (result == 0 && *ret_content == SEAL_CLEAN &&
	       (n = pread(fd, buffer, sizeof(buffer), at)) > 0) {
		at += n;
		if (trace_take(&scan, (struct span){ buffer, (size_t)n }))
			*ret_content = SEAL_TOKEN;
		if (seal->each)
			result = seal->each(seal->context, (uint64_t)n, err);
	}
	if (n < 0)
		*ret_content = SEAL_UNREAD;
	explicit_bzero(&scan, sizeof(scan));
	return result;
}

int seal_look(const struct seal *seal, int fd, enum seal_content *ret_content,
	      struct error *err)
{
	char head[HEAD] = "";
	ssize_t n = pread(fd, head, sizeof(head), 0);
	enum seal_content plain = SEAL_CLEAN;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (n >= (ssize_t)kinds[i].size &&
		    memcmp(head, kinds[i].magic, kinds[i].size) == 0) {
			*ret_content = kinds[i].content;
			return 0;
		}
	}
	*ret_content = SEAL_CLEAN;
	if (n == sizeof(head) && memcmp(head, JOURNAL, sizeof(head)) == 0 &&
	    seal_journal_look(seal, fd, ret_content, err) < 0)
		return -1;
	if (*ret_content == SEAL_TOKEN)
		return 0;
	if (look_plain(seal, fd, &plain, err) < 0)
		return -1;
	if (plain != SEAL_CLEAN)
		*ret_content = plain;
	return 0;
}

static enum seal_content content_of(const struct json *answer, size_t index)
{
	const char *word = json_as_string(json_at(json_get(answer, "contents"), index));

	if (word && strcmp(word, "clean") == 0)
		return SEAL_CLEAN;
	return word && strcmp(word, "token") == 0 ? SEAL_TOKEN : SEAL_UNREAD;
}

/* A worker that fails has searched nothing. */
int seal_look_packed(const struct seal *seal, const int *fds, size_t count,
		     enum seal_content *ret_contents, struct error *err)
{
	cleanup_json struct json *inputs = json_build("[]");
	cleanup_json struct json *answer = NULL, *request = NULL;
	struct error why = ERROR_INIT;

	for (size_t i = 0; inputs && i < count; i++) {
		if (json_append(inputs, json_build("i", CHANNEL_FIRST_FILE + (int)i)) < 0)
			return error_set_errno(err, ENOMEM, "looking for tokens");
	}
	request = json_build("{s:s, s:O, s:o}", "job", "search", "inputs", inputs,
			     "pieces", trace_print(&seal->trace));
	if (!request)
		return error_set_errno(err, ENOMEM, "looking for tokens");
	if (channel_call(seal->channel, request, fds, count, &answer, &why) < 0 &&
	    why.interrupted) {
		*err = why;
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		ret_contents[i] = content_of(answer, i);
	return 0;
}
