/* SPDX-License-Identifier: Apache-2.0 */
#include "model/netrc.h"

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "base/macro.h"
#include "base/span.h"

/* Words as lib/netrc.c of libcurl has them: quoted where they begin so, since 7.84. */
static struct span next_word(struct span *rest)
{
	struct span word;
	bool escaped = false;
	size_t size = 0;

	while (rest->len > 0 && strchr(" \t\r\n", rest->at[0]) && rest->at[0])
		*rest = (struct span){ rest->at + 1, rest->len - 1 };
	if (rest->len > 0 && rest->at[0] == '"') {
		for (size = 1; size < rest->len && (escaped || rest->at[size] != '"');
		     size++)
			escaped = !escaped && rest->at[size] == '\\';
		size += size < rest->len;
	} else {
		while (size < rest->len &&
		       (!rest->at[size] || !strchr(" \t\r\n", rest->at[size])))
			size++;
	}
	word = (struct span){ rest->at, size };
	*rest = (struct span){ rest->at + size, rest->len - size };
	return word;
}

static bool is_word(struct span word, const char *name)
{
	return word.len == strlen(name) && strncasecmp(word.at, name, word.len) == 0;
}

/* A dot at the end of either, the root of DNS, makes no other host. */
static bool is_host(struct span word, const char *host)
{
	size_t size = strlen(host);

	if (word.len >= 2 && word.at[0] == '"')
		word = (struct span){ word.at + 1, word.len - 2 };
	word.len -= word.len > 0 && word.at[word.len - 1] == '.';
	size -= size > 0 && host[size - 1] == '.';
	return word.len == size && strncasecmp(word.at, host, size) == 0;
}

/* Up to the empty line that ends a macro. */
static void skip_macro(struct span *rest)
{
	struct span line;

	(void)span_next_line(rest, &line);
	while (span_next_line(rest, &line) && line.len > 0)
		continue;
}

struct selection {
	const char *begin; /* of the entry that is being read, if it counts; else NULL */
	char *buffer;
	size_t used;
	bool found; /* a machine that is the host */
};

/* The entry, if there is one, ends at `end`; the next begins there, if it counts. */
static void cut(struct selection *selection, const char *end, bool counts)
{
	if (selection->begin) {
		size_t size = (size_t)(end - selection->begin);

		memcpy(selection->buffer + selection->used, selection->begin, size);
		selection->used += size;
	}
	selection->begin = counts ? end : NULL;
}

size_t netrc_of_host(const char *text, size_t size, const char *host, char *buffer)
{
	static const char *const with_value[] = { "login", "password", "account" };
	struct selection selection = { .buffer = buffer };
	struct span rest = { text, size }, word, line;

	while ((word = next_word(&rest)).len > 0) {
		if (word.at[0] == '#') {
			rest = (struct span){ word.at, word.len + rest.len };
			(void)span_next_line(&rest, &line);
		} else if (is_word(word, "machine")) {
			bool is_it = is_host(next_word(&rest), host);

			cut(&selection, word.at, is_it);
			selection.found |= is_it;
		} else if (is_word(word, "default")) {
			cut(&selection, word.at, !selection.found);
		} else if (is_word(word, "macdef")) {
			cut(&selection, word.at, false);
			skip_macro(&rest);
		}
		for (size_t i = 0; i < ARRAY_SIZE(with_value); i++) {
			if (is_word(word, with_value[i])) {
				(void)next_word(&rest);
				break;
			}
		}
	}
	cut(&selection, text + size, false);
	return selection.used;
}
