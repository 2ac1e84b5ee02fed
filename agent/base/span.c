/* SPDX-License-Identifier: Apache-2.0 */
#include "base/span.h"

#include <string.h>

struct span span_of(const char *text)
{
	return (struct span){ text, strlen(text) };
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

struct span span_trim(struct span span)
{
	while (span.len > 0 && is_blank(*span.at)) {
		span.at++;
		span.len--;
	}
	while (span.len > 0 && is_blank(span.at[span.len - 1]))
		span.len--;
	return span;
}

bool span_equals(struct span span, const char *text)
{
	return span.len == strlen(text) && memcmp(span.at, text, span.len) == 0;
}

bool span_starts(struct span span, const char *prefix)
{
	size_t len = strlen(prefix);

	return span.len >= len && memcmp(span.at, prefix, len) == 0;
}

bool span_ends(struct span span, const char *suffix)
{
	size_t len = strlen(suffix);

	return span.len >= len && memcmp(span.at + span.len - len, suffix, len) == 0;
}

bool span_skip(struct span *span, const char *prefix)
{
	size_t len = strlen(prefix);

	if (!span_starts(*span, prefix))
		return false;
	span->at += len;
	span->len -= len;
	return true;
}

struct span span_base_name(struct span path)
{
	const char *slash = path.len ? memrchr(path.at, '/', path.len) : NULL;

	if (!slash)
		return path;
	return (struct span){ slash + 1, path.len - (size_t)(slash + 1 - path.at) };
}

bool span_next_line(struct span *rest, struct span *ret_line)
{
	const char *end;

	if (rest->len == 0)
		return false;

	end = memchr(rest->at, '\n', rest->len);
	ret_line->at = rest->at;
	ret_line->len = end ? (size_t)(end - rest->at) : rest->len;
	rest->at += ret_line->len + (end ? 1 : 0);
	rest->len -= ret_line->len + (end ? 1 : 0);

	if (ret_line->len > 0 && ret_line->at[ret_line->len - 1] == '\r')
		ret_line->len--;
	return true;
}

bool span_split(struct span span, char separator, struct span *ret_head,
		struct span *ret_tail)
{
	const char *at = span.len ? memchr(span.at, separator, span.len) : NULL;

	if (!at) {
		*ret_head = span;
		*ret_tail = (struct span){ span.at + span.len, 0 };
		return false;
	}

	*ret_head = (struct span){ span.at, (size_t)(at - span.at) };
	*ret_tail = (struct span){ at + 1, span.len - ret_head->len - 1 };
	return true;
}

bool span_copy(struct span span, char *ret_text, size_t size)
{
	size_t len = span.len < size - 1 ? span.len : size - 1;

	memcpy(ret_text, span.at, len);
	ret_text[len] = '\0';
	return len == span.len;
}

bool span_to_u64(struct span span, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (span.len == 0)
		return false;

	for (size_t i = 0; i < span.len; i++) {
		if (span.at[i] < '0' || span.at[i] > '9')
			return false;
		if (__builtin_mul_overflow(value, 10u, &value) ||
		    __builtin_add_overflow(value, (unsigned)(span.at[i] - '0'), &value))
			return false;
	}

	*ret_value = value;
	return true;
}

uint64_t span_hash(struct span span)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < span.len; i++)
		hash = (hash ^ (unsigned char)span.at[i]) * 0x100000001b3u;
	return hash;
}
