/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/token/jwt_text.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#define BOM "\xef\xbb\xbf"
#define PREFIX_SIZE 8 /* of a header: eyJhbGci, eyJ0eXAi */

int jwt_text_add(struct json *problems, const char *code, const char *severity,
		 const char *fmt, ...)
{
	char message[256];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, args);
	va_end(args);

	return json_append(problems,
			   json_build("{s:s, s:s, s:s}", "code", code, "severity",
				      severity, "message", message));
}

static int broken(struct jwt_text *text, struct json *problems, const char *code,
		  const char *message)
{
	text->broken = true;
	text->unreadable = true;
	return jwt_text_add(problems, code, "error", "%s", message);
}

/* 1-based, for editors. */
static size_t line_of(struct span file, size_t offset)
{
	size_t line = 1;

	for (size_t i = 0; i < offset; i++)
		line += file.at[i] == '\n';
	return line;
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_token_byte(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
}

/* The UTF-8 character at `at`; 0 for bytes that are none. Enough to name what is unseen.
 */
static uint32_t character_at(struct span at)
{
	const unsigned char *bytes = (const unsigned char *)at.at;

	if (bytes[0] < 0x80)
		return bytes[0];
	if (at.len >= 2 && (bytes[0] & 0xe0) == 0xc0 && (bytes[1] & 0xc0) == 0x80)
		return (bytes[0] & 0x1fu) << 6 | (bytes[1] & 0x3fu);
	if (at.len >= 3 && (bytes[0] & 0xf0) == 0xe0 && (bytes[1] & 0xc0) == 0x80 &&
	    (bytes[2] & 0xc0) == 0x80)
		return (bytes[0] & 0x0fu) << 12 | (bytes[1] & 0x3fu) << 6 |
		       (bytes[2] & 0x3fu);
	return 0;
}

/* What an editor or a browser puts in without showing it. */
static bool is_invisible(uint32_t c)
{
	static const struct {
		uint32_t first, last;
	} ranges[] = { { 0x00, 0x1f },     { 0x7f, 0xa0 },     { 0xad, 0xad },
		       { 0x2000, 0x200f }, { 0x2028, 0x202f }, { 0x2060, 0x206f },
		       { 0x3000, 0x3000 }, { 0xfeff, 0xfeff } };

	for (size_t i = 0; i < ARRAY_SIZE(ranges); i++) {
		if (c >= ranges[i].first && c <= ranges[i].last)
			return true;
	}
	return false;
}

/* Finds where a second token begins in this one; 0 for nowhere. */
static size_t find_second(struct span token)
{
	const char *second = NULL;
	size_t dots = 0;

	if (!span_starts(token, "eyJ") || token.len <= PREFIX_SIZE)
		return 0;
	/* A header is random to neither payload nor signature: again means once more. */
	second = memmem(token.at + PREFIX_SIZE, token.len - PREFIX_SIZE, token.at,
			PREFIX_SIZE);
	if (second)
		return (size_t)(second - token.at);

	/* Two with different headers: too many parts, and one begins like a header. */
	for (size_t i = 0; i < token.len; i++) {
		if (dots == 2 && !second && token.len - i >= 3 &&
		    memcmp(token.at + i, "eyJ", 3) == 0)
			second = token.at + i;
		dots += token.at[i] == '.';
	}
	return dots > 2 && second ? (size_t)(second - token.at) : 0;
}

/*
 * Names the first byte that cannot stand in a token, else the first blank inside it:
 * where the byte is and on which line, never what the token says.
 */
static int check_bytes(struct span file, struct jwt_text *text, struct json *problems)
{
	size_t blank = SIZE_MAX;

	for (size_t i = 0; i < text->token.len; i++) {
		struct span rest = { text->token.at + i, text->token.len - i };
		size_t at = text->offset + i;
		uint32_t c = character_at(rest);

		if (is_token_byte(*rest.at))
			continue;
		if (is_blank(*rest.at)) {
			if (blank == SIZE_MAX)
				blank = at;
			continue;
		}
		text->broken = true;
		text->unreadable = true;
		if (is_invisible(c) && (c != 0 || *rest.at == '\0'))
			return jwt_text_add(problems, "invisible", "error",
					    "an invisible character, U+%04X, stands at "
					    "byte %zu (line %zu)",
					    c, at + 1, line_of(file, at));
		return jwt_text_add(problems, "not_a_token", "error",
				    "a character that no token has stands at byte %zu "
				    "(line %zu)",
				    at + 1, line_of(file, at));
	}

	if (blank == SIZE_MAX)
		return 0;
	text->broken = true;
	return jwt_text_add(problems, "inner_whitespace", "error",
			    "a blank or line break stands inside the token at byte %zu "
			    "(line %zu)",
			    blank + 1, line_of(file, blank));
}

/*
 * A byte order mark and blanks around the token are only warnings; the token is what
 * lies between.
 */
static int check_ends(struct span file, struct jwt_text *text, struct json *problems)
{
	struct span rest = file;
	size_t before, after;

	if (span_skip(&rest, BOM) &&
	    jwt_text_add(problems, "bom", "warning",
			 "the file begins with a byte order mark") < 0)
		return -1;

	text->token = span_trim(rest);
	if (text->token.len == 0)
		return broken(text, problems, "empty", "there is nothing but blanks");
	text->offset = (size_t)(text->token.at - file.at);

	before = (size_t)(text->token.at - rest.at);
	after = rest.len - before - text->token.len;
	if (before == 0 && after == 0)
		return 0;
	return jwt_text_add(problems, "whitespace", "warning",
			    "%zu bytes of blanks stand before the token and %zu after it",
			    before, after);
}

int jwt_text_read(struct span file, struct json *problems, struct jwt_text *ret_text)
{
	size_t second, at;

	*ret_text = (struct jwt_text){ .token = file };
	if (file.len == 0)
		return broken(ret_text, problems, "empty", "there is not one byte");
	if (span_starts(file, "\xff\xfe") || span_starts(file, "\xfe\xff"))
		return broken(ret_text, problems, "not_a_token",
			      "the file is UTF-16 text: save it as plain text");

	if (check_ends(file, ret_text, problems) < 0)
		return -1;
	if (ret_text->unreadable)
		return 0;

	second = find_second(ret_text->token);
	if (second == 0)
		return check_bytes(file, ret_text, problems);

	ret_text->broken = true;
	ret_text->unreadable = true;
	at = ret_text->offset + second;
	return jwt_text_add(problems, "glued", "error",
			    "a second token begins at byte %zu (line %zu)", at + 1,
			    line_of(file, at));
}
