/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doctor/redact.h"

#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"

#define MARK "[redacted]"
#define JWT_LEAST 10  /* "eyJ" and so much of base64 is a token's beginning */
#define LABEL_MOST 64 /* of the first line of a key in PEM */
#define KEY_LEAST 48  /* longer than any name, shorter than any key in base64 */
#define CREDENTIAL_LEAST 8

struct writer {
	char *text;
	size_t used;
};

static void put_bytes(struct writer *writer, const char *bytes, size_t size)
{
	for (size_t i = 0; i < size; i++) {
		char c = bytes[i];
		bool is_text = (unsigned char)c >= ' ' || c == '\n' || c == '\t';

		writer->text[writer->used++] = is_text && c != 0x7f ? c : '?';
	}
}

static void mark(struct writer *writer)
{
	put_bytes(writer, MARK, strlen(MARK));
}

static bool is_key_byte(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-' || c == '+';
}

/* A run of key bytes that has small and capital letters and digits is no word. */
static bool is_key(struct span run)
{
	bool small = false, capital = false, digit = false;

	for (size_t i = 0; i < run.len; i++) {
		small |= islower((unsigned char)run.at[i]) != 0;
		capital |= isupper((unsigned char)run.at[i]) != 0;
		digit |= isdigit((unsigned char)run.at[i]) != 0;
	}
	return run.len >= KEY_LEAST && small && capital && digit;
}

/* How many key bytes stand at the beginning. */
static size_t run_at(struct span text)
{
	size_t n = 0;

	while (n < text.len && is_key_byte(text.at[n]))
		n++;
	return n;
}

/* How a JWT begins: '{"' in base64. */
static bool is_token(struct span text)
{
	return run_at(text) >= JWT_LEAST && span_starts(text, "eyJ");
}

/* Where a value ends; a quote that JSON has escaped is part of it. */
static size_t value_at(struct span text)
{
	size_t n = 0;

	while (n < text.len && !strchr("\"\r\n", text.at[n]))
		n += text.at[n] == '\\' && n + 1 < text.len ? 2 : 1;
	return n;
}

/* "password": "x", Password=x, Authorization: Basic x. How much of it is the name. */
static size_t secret_name(struct span text)
{
	static const char *const names[] = { "authorization",
					     "password",
					     "passwd",
					     "secret",
					     "credential",
					     "x-auth-token",
					     "x-aws-ec2-metadata-token" };

	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		size_t n = strlen(names[i]);

		if (text.len < n || strncasecmp(text.at, names[i], n) != 0)
			continue;
		while (n < text.len &&
		       (isalnum((unsigned char)text.at[n]) || text.at[n] == '_') &&
		       !is_token((struct span){ text.at + n, text.len - n }))
			n++;
		if (n < text.len && text.at[n] == '"')
			n++;
		while (n < text.len && text.at[n] == ' ')
			n++;
		if (n >= text.len || (text.at[n] != '=' && text.at[n] != ':'))
			return 0;
		n++;
		while (n < text.len && (text.at[n] == ' ' || text.at[n] == '"'))
			n++;
		return n;
	}
	return 0;
}

/* A private key in PEM, up to its last line: '/' cuts its lines into short runs. */
static size_t pem_at(struct span text)
{
	static const char begin[] = "-----BEGIN ", end[] = "-----END";
	struct span label = { text.at, text.len < LABEL_MOST ? text.len : LABEL_MOST };
	const char *found;

	if (!span_starts(text, begin) ||
	    !memmem(label.at, label.len, "PRIVATE KEY-----", strlen("PRIVATE KEY-----")))
		return 0;
	found = memmem(text.at, text.len, end, strlen(end));
	return found ? (size_t)(found - text.at) : text.len;
}

static size_t blanks_at(struct span text)
{
	size_t n = 0;

	while (n < text.len && isspace((unsigned char)text.at[n]))
		n++;
	return n;
}

static size_t word_at(struct span text)
{
	size_t n = 0;

	while (n < text.len && !isspace((unsigned char)text.at[n]))
		n++;
	return n;
}

/* Of netrc, "login NAME password SECRET": how much stands before the secret. */
static size_t netrc_at(struct span text)
{
	static const char *const words[] = { "login", NULL, "password" };
	size_t done = 0;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct span rest = { text.at + done, text.len - done };
		size_t n, blanks;

		if (words[i] && !span_starts(rest, words[i]))
			return 0;
		n = words[i] ? strlen(words[i]) : word_at(rest);
		blanks = blanks_at((struct span){ rest.at + n, rest.len - n });
		if (blanks == 0)
			return 0;
		done += n + blanks;
	}
	return done;
}

/* The name goes with it: it may be a token. */
static size_t take_netrc(struct span text, size_t before, struct writer *writer)
{
	put_bytes(writer, text.at, strlen("login "));
	mark(writer);
	return before + word_at((struct span){ text.at + before, text.len - before });
}

static size_t take_value(struct span text, size_t name, struct writer *writer)
{
	struct span value = { text.at + name, text.len - name };
	size_t n = value_at(value);

	put_bytes(writer, text.at, name);
	if (n > 0)
		mark(writer);
	return name + n;
}

/* The run, or as much of it as stands before a secret's name. */
static size_t take_run(struct span text, struct writer *writer)
{
	struct span run = { text.at, run_at(text) };
	size_t n = 0;

	if (is_key(run)) {
		mark(writer);
		return run.len;
	}
	for (; n < run.len; n++) {
		struct span rest = { text.at + n, text.len - n };

		if (n > 0 && (secret_name(rest) > 0 || pem_at(rest) > 0))
			break;
		/* A token may be glued to what stands before it. */
		if (is_token(rest)) {
			put_bytes(writer, run.at, n);
			mark(writer);
			return run.len;
		}
	}
	put_bytes(writer, run.at, n);
	return n;
}

/* Up to a blank, a quote, also one that JSON has escaped, or a bracket. */
static size_t url_at(struct span text)
{
	size_t n = 0;

	while (n < text.len && !isspace((unsigned char)text.at[n]) &&
	       !strchr("\"'<>()", text.at[n]) &&
	       !(text.at[n] == '\\' && n + 1 < text.len && text.at[n + 1] == '"'))
		n++;
	return n;
}

/* "Bearer X" behind no header's name. "Basic authentication" is text. */
static size_t scheme_at(struct span text)
{
	static const char *const schemes[] = { "Bearer ", "Basic " };

	for (size_t i = 0; i < ARRAY_SIZE(schemes); i++) {
		struct span rest = text;
		bool small = false, other = false;
		size_t n;

		if (!span_skip(&rest, schemes[i]))
			continue;
		n = url_at(rest);
		for (size_t j = 0; j < n; j++) {
			small |= islower((unsigned char)rest.at[j]) != 0;
			other |= isupper((unsigned char)rest.at[j]) ||
				 isdigit((unsigned char)rest.at[j]);
		}
		return n >= CREDENTIAL_LEAST && small && other ? strlen(schemes[i]) : 0;
	}
	return 0;
}

static size_t take_scheme(struct span text, size_t scheme, struct writer *writer)
{
	put_bytes(writer, text.at, scheme);
	mark(writer);
	return scheme + url_at((struct span){ text.at + scheme, text.len - scheme });
}

/* Where the host begins: behind the last '@' before the path. 0: there is no user. */
static size_t user_at(struct span url)
{
	size_t user = 0;

	for (size_t i = 0; i < url.len && !strchr("/?#", url.at[i]); i++) {
		if (url.at[i] == '@')
			user = i + 1;
	}
	return user;
}

/* User and password, and the query, are nobody's business; a path may hold a token. */
static size_t take_url(struct span text, struct writer *writer)
{
	struct span url = { text.at + 3, text.len - 3 };
	size_t done;

	url.len = url_at(url);
	done = user_at(url);
	put_bytes(writer, "://", 3);
	if (done > 0) {
		mark(writer);
		put_bytes(writer, "@", 1);
	}
	while (done < url.len && url.at[done] != '?') {
		struct span rest = { url.at + done, url.len - done };

		if (run_at(rest) > 0) {
			done += take_run(rest, writer);
			continue;
		}
		put_bytes(writer, rest.at, 1);
		done++;
	}
	if (done < url.len) {
		put_bytes(writer, "?", 1);
		mark(writer);
	}
	return 3 + url.len;
}

/* At worst each byte is a secret of its own. */
static size_t room_for(size_t size)
{
	return size * (strlen(MARK) + 2) + 1;
}

char *redact_text(struct span text)
{
	struct writer writer = { malloc(room_for(text.len)), 0 };
	char *fitting;

	if (!writer.text)
		return NULL;
	while (text.len > 0) {
		size_t name = secret_name(text), netrc = netrc_at(text);
		size_t scheme = scheme_at(text);
		size_t n = pem_at(text);

		if (n > 0) {
			mark(&writer);
		} else if (netrc > 0) {
			n = take_netrc(text, netrc, &writer);
		} else if (scheme > 0) {
			n = take_scheme(text, scheme, &writer);
		} else if (name > 0) {
			n = take_value(text, name, &writer);
		} else if (span_starts(text, "://")) {
			n = take_url(text, &writer);
		} else if (run_at(text) > 0) {
			n = take_run(text, &writer);
		} else {
			put_bytes(&writer, text.at, 1);
			n = 1;
		}
		text.at += n;
		text.len -= n;
	}
	writer.text[writer.used] = '\0';
	fitting = realloc(writer.text, writer.used + 1);
	return fitting ? fitting : writer.text;
}
