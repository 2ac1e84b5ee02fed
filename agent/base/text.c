/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <stdarg.h>
#include <string.h>

bool text_format(char *buffer, size_t size, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = vsnprintf(buffer, size, fmt, args);
	va_end(args);

	return n >= 0 && (size_t)n < size;
}

char *text_print(const char *fmt, ...)
{
	char *text = NULL;
	va_list args;
	int n;

	va_start(args, fmt);
	n = vasprintf(&text, fmt, args);
	va_end(args);

	return n < 0 ? NULL : text;
}

bool text_copy(char *buffer, size_t size, const char *text)
{
	return text_format(buffer, size, "%s", text);
}

bool text_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *text, const char *suffix)
{
	size_t len = strlen(text), tail = strlen(suffix);

	return len >= tail && strcmp(text + len - tail, suffix) == 0;
}

void text_sanitize(char *text)
{
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		if (c < 0x20 || c == 0x7f)
			*text = '?';
	}
}

void text_strv_free(char **strv)
{
	if (!strv)
		return;
	for (char **item = strv; *item; item++)
		free(*item);
	free(strv);
}

#define DISTANCE_MAX 64

static unsigned min3(unsigned a, unsigned b, unsigned c)
{
	unsigned ab = a < b ? a : b;

	return ab < c ? ab : c;
}

/* Levenshtein's, in one row; longer words are cut: nobody mistypes that much. */
unsigned text_distance(const char *a, const char *b)
{
	size_t la = strnlen(a, DISTANCE_MAX), lb = strnlen(b, DISTANCE_MAX);
	unsigned row[DISTANCE_MAX + 1];

	for (size_t j = 0; j <= lb; j++)
		row[j] = (unsigned)j;

	for (size_t i = 1; i <= la; i++) {
		unsigned diagonal = row[0];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			unsigned above = row[j];

			row[j] = min3(above + 1, row[j - 1] + 1,
				      diagonal + (a[i - 1] != b[j - 1]));
			diagonal = above;
		}
	}

	return row[lb];
}
