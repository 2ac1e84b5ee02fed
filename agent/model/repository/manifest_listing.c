/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>
#include <strings.h>

#include "base/macro.h"
#include "base/text.h"
#include "model/repository/manifest.h"

#define TAG_MAX 4096 /* a longer tag is no link of an index page */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static void advance(struct span *span, size_t n)
{
	span->at += n;
	span->len -= n;
}

static struct span cut_until(struct span *rest, const char *stops)
{
	struct span head = { rest->at, 0 };

	while (rest->len > 0 && (*rest->at == '\0' || !strchr(stops, *rest->at))) {
		advance(rest, 1);
		head.len++;
	}
	return head;
}

static struct span cut_value(struct span *rest)
{
	struct span value;

	if (rest->len == 0 || (*rest->at != '"' && *rest->at != '\''))
		return cut_until(rest, " \t\n\r\f>");

	if (*rest->at == '"') {
		advance(rest, 1);
		value = cut_until(rest, "\"");
	} else {
		advance(rest, 1);
		value = cut_until(rest, "'");
	}
	if (rest->len > 0)
		advance(rest, 1);
	return value;
}

/*
 * The href of the tag whose attributes begin at `rest`, which is left behind what was
 * read: so that no byte of a page is read twice. False when it has none.
 */
static bool find_href(struct span *rest, struct span *ret_value)
{
	for (;;) {
		struct span name, value = { 0 };

		while (rest->len > 0 && (is_space(*rest->at) || *rest->at == '/'))
			advance(rest, 1);
		if (rest->len == 0 || *rest->at == '>')
			return false;

		name = cut_until(rest, " \t\n\r\f=>/");
		if (rest->len > 0 && *rest->at == '=') {
			advance(rest, 1);
			value = cut_value(rest);
		}
		if (name.len == 4 && strncasecmp(name.at, "href", 4) == 0) {
			*ret_value = value;
			return true;
		}
	}
}

/* The character that an HTML reference at the front of `rest` stands for, cut off. */
static char cut_character(struct span *rest)
{
	static const struct {
		const char *text;
		char character;
	} references[] = { { "&amp;", '&' },  { "&lt;", '<' },    { "&gt;", '>' },
			   { "&quot;", '"' }, { "&#34;", '"' },   { "&#38;", '&' },
			   { "&#39;", '\'' }, { "&#x27;", '\'' }, { "&#43;", '+' },
			   { "&#x2b;", '+' } };
	char c = *rest->at;

	for (size_t i = 0; c == '&' && i < ARRAY_SIZE(references); i++) {
		if (span_skip(rest, references[i].text))
			return references[i].character;
	}
	advance(rest, 1);
	return c;
}

/* Decodes in place; false for an escape that is none. */
static bool decode_percent(char *text)
{
	char *to = text;

	for (const char *from = text; *from; from++) {
		int high, low;

		if (*from != '%') {
			*to++ = *from;
			continue;
		}
		high = text_hex_value(from[1]);
		low = high < 0 ? -1 : text_hex_value(from[2]);
		if (low < 0 || (high == 0 && low == 0))
			return false;
		*to++ = (char)(16 * high + low);
		from += 2;
	}
	*to = '\0';
	return true;
}

/* A link to elsewhere, to a folder or to the page in another order: not one of ours. */
static bool is_elsewhere(const char *target)
{
	size_t len = strlen(target);

	return len == 0 || strpbrk(target, "?#") || strchr(target, '/') ||
	       target[strcspn(target, "/:")] == ':' || strcmp(target, "..") == 0 ||
	       strcmp(target, ".") == 0;
}

/*
 * Reads the target of a link. False for a link that leads to no file of this repository;
 * true with `ret_why` for a file that cannot be taken, because of its path.
 */
static bool read_target(struct span href, struct manifest_entry *ret_entry,
			const char **ret_why)
{
	char target[3 * PACKAGE_NAME_MAX];
	size_t used = 0;

	*ret_why = NULL;
	while (href.len > 0) {
		char c = cut_character(&href);

		if (c == '\0' || used == sizeof(target) - 1) {
			*ret_why = c ? "has a path that is too long"
				     : "has an unsafe path";
			return true;
		}
		target[used++] = c;
	}
	target[used] = '\0';

	if (strncmp(target, "./", 2) == 0) {
		memmove(target, target + 2, used - 1);
		if (strchr(target, '/') || strpbrk(target, "?#") || !*target)
			return false;
	} else if (is_elsewhere(target)) {
		return false;
	}

	*ret_entry = (struct manifest_entry){ 0 };
	if (!decode_percent(target))
		*ret_why = "has a bad percent escape";
	else if (strchr(target, '/') || !manifest_path_is_safe(span_of(target)))
		*ret_why = "has an unsafe path";
	else if (!span_copy(span_of(target), ret_entry->name, sizeof(ret_entry->name)))
		*ret_why = "has a path that is too long";
	return true;
}

static bool is_anchor(struct span rest)
{
	return rest.len > 2 && rest.at[0] == '<' && (rest.at[1] | 0x20) == 'a' &&
	       is_space(rest.at[2]);
}

void manifest_listing(const char *html, size_t size, manifest_each *each, void *context)
{
	struct span rest = { html, size };
	struct manifest_entry entry;
	char last[PACKAGE_NAME_MAX] = "";
	size_t line = 1, entries = 0;
	const char *resume = html;

	for (; rest.len > 0 && entries < MANIFEST_ENTRIES_MAX; advance(&rest, 1)) {
		struct span tag, href;
		const char *why;
		bool found;

		if (*rest.at == '\n')
			line++;
		if (rest.at < resume || !is_anchor(rest))
			continue;

		tag = (struct span){ rest.at + 2, rest.len - 2 };
		if (tag.len > TAG_MAX)
			tag.len = TAG_MAX;
		found = find_href(&tag, &href);
		resume = tag.at;
		if (!found || !read_target(href, &entry, &why))
			continue;
		/* An icon and a name that link to the same file are one file. */
		if (!why && strcmp(entry.name, last) == 0)
			continue;

		entries++;
		each(context, why ? NULL : &entry, line, why);
		if (!why)
			(void)span_copy(span_of(entry.name), last, sizeof(last));
	}
}
