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

void text_path(char *buffer, size_t size, const char *fmt, ...)
{
	bool in_nothing = false;
	va_list args;
	int n;

	/* Below a folder whose path did not fit there is nothing. */
	if (text_starts(fmt, "%s/")) {
		va_start(args, fmt);
		in_nothing = va_arg(args, const char *)[0] == '\0';
		va_end(args);
	}
	va_start(args, fmt);
	n = vsnprintf(buffer, size, fmt, args);
	va_end(args);

	if (n < 0 || (size_t)n >= size || in_nothing)
		buffer[0] = '\0';
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

void text_size(uint64_t bytes, char ret_text[static TEXT_SIZE_MAX])
{
	if (bytes < 1024)
		(void)text_format(ret_text, TEXT_SIZE_MAX, "%u B", (unsigned)bytes);
	else if (bytes < 1024 * 1024)
		(void)text_format(ret_text, TEXT_SIZE_MAX, "%.1f KiB",
				  (double)bytes / 1024);
	else
		(void)text_format(ret_text, TEXT_SIZE_MAX, "%.1f MiB",
				  (double)bytes / (1024.0 * 1024));
}

bool text_copy(char *buffer, size_t size, const char *text)
{
	return text_format(buffer, size, "%s", text);
}

const char *text_base_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

void text_hex(const void *bytes, size_t size, char *ret_hex)
{
	static const char digits[] = "0123456789abcdef";
	const unsigned char *at = bytes;

	for (size_t i = 0; i < size; i++) {
		ret_hex[2 * i] = digits[at[i] >> 4];
		ret_hex[2 * i + 1] = digits[at[i] & 15];
	}
	ret_hex[2 * size] = '\0';
}

int text_hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
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

/* How many bytes a sequence has that begins with `first` (RFC 3629, section 3); 0: none.
 */
static size_t sequence_need(unsigned char first)
{
	if (first < 0x80)
		return 1;
	if (first >= 0xc2 && first <= 0xdf)
		return 2;
	if (first >= 0xe0 && first <= 0xef)
		return 3;
	if (first >= 0xf0 && first <= 0xf4)
		return 4;
	return 0;
}

size_t text_utf8_length(const char *bytes, size_t size)
{
	const unsigned char *at = (const unsigned char *)bytes;
	size_t need = size > 0 ? sequence_need(at[0]) : 0;

	if (need == 0 || need > size)
		return 0;
	for (size_t i = 1; i < need; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((at[0] == 0xe0 && at[1] < 0xa0) || (at[0] == 0xed && at[1] > 0x9f) ||
	    (at[0] == 0xf0 && at[1] < 0x90) || (at[0] == 0xf4 && at[1] > 0x8f))
		return 0;
	return need;
}

/* C0 and C1: the second half is U+0080 to U+009F, which also begins commands. */
static bool is_control(const char *at, size_t n)
{
	unsigned char first = (unsigned char)at[0];

	return first < 0x20 || first == 0x7f ||
	       (n == 2 && first == 0xc2 && (unsigned char)at[1] < 0xa0);
}

void text_sanitize(char *text)
{
	size_t left = strlen(text);

	while (left > 0) {
		size_t n = text_utf8_length(text, left), step = n ? n : 1;

		if (n == 0 || is_control(text, n))
			memset(text, '?', step);
		text += step;
		left -= step;
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
	unsigned rows[3][DISTANCE_MAX + 1] = { { 0 } };

	for (size_t j = 0; j <= lb; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= la; i++) {
		const unsigned *above = rows[(i - 1) % 3], *before = rows[(i + 1) % 3];
		unsigned *row = rows[i % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= lb; j++) {
			row[j] = min3(above[j] + 1, row[j - 1] + 1,
				      above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1] && before[j - 2] + 1 < row[j])
				row[j] = before[j - 2] + 1;
		}
	}

	return rows[la % 3][lb];
}
