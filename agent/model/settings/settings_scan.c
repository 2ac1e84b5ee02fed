/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings_scan.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"

struct scan {
	struct span text;
	size_t at;
	unsigned line;
	const char *file;
};

static char peek(const struct scan *scan, size_t ahead)
{
	return scan->at + ahead < scan->text.len ? scan->text.at[scan->at + ahead] : '\0';
}

static void advance(struct scan *scan)
{
	if (peek(scan, 0) == '\n')
		scan->line++;
	scan->at++;
}

static bool at_end(const struct scan *scan)
{
	return scan->at >= scan->text.len;
}

static void skip_line(struct scan *scan)
{
	while (!at_end(scan) && peek(scan, 0) != '\n')
		advance(scan);
}

static void skip_comment(struct scan *scan)
{
	advance(scan);
	advance(scan);
	while (!at_end(scan) && !(peek(scan, 0) == '*' && peek(scan, 1) == '/'))
		advance(scan);
	advance(scan);
	advance(scan);
}

/* A backslash before anything but these two is only a backslash to libconfig. */
static void skip_string(struct scan *scan)
{
	advance(scan);
	while (!at_end(scan) && peek(scan, 0) != '"') {
		if (peek(scan, 0) == '\\' &&
		    (peek(scan, 1) == '"' || peek(scan, 1) == '\\'))
			advance(scan);
		advance(scan);
	}
	advance(scan);
}

static bool is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || (c != '\0' && strchr("+-._*", c));
}

/* Whether an integer of libconfig's keeps its value there. Its hexadecimal has no sign.
 */
static bool integer_fits(struct span word)
{
	bool negative = word.len > 0 && word.at[0] == '-';
	uint64_t value = 0, limit = INT32_MAX;
	int base = 10;

	if (!span_skip(&word, "-"))
		(void)span_skip(&word, "+");
	if (span_skip(&word, "0x") || span_skip(&word, "0X"))
		base = 16;
	while (span_ends(word, "L")) {
		limit = INT64_MAX;
		word.len--;
	}

	if (word.len == 0)
		return false;
	for (size_t i = 0; i < word.len; i++) {
		int digit = text_hex_value(word.at[i]);

		if (digit < 0 || digit >= base ||
		    __builtin_mul_overflow(value, (unsigned)base, &value) ||
		    __builtin_add_overflow(value, (unsigned)digit, &value))
			return false;
	}

	return value <= limit + (negative ? 1 : 0);
}

/* Real numbers are no value of any key: the table refuses them by their type. */
static bool is_real(struct span word)
{
	bool hex = span_starts(word, "0x") || span_starts(word, "0X");

	return memchr(word.at, '.', word.len) != NULL ||
	       (!hex &&
		(memchr(word.at, 'e', word.len) || memchr(word.at, 'E', word.len)));
}

static int scan_word(struct scan *scan, struct error *err)
{
	struct span word = { scan->text.at + scan->at, 0 };

	while (is_word_char(peek(scan, 0))) {
		advance(scan);
		word.len++;
	}

	if ((word.at[0] >= 'a' && word.at[0] <= 'z') ||
	    (word.at[0] >= 'A' && word.at[0] <= 'Z') || is_real(word) ||
	    integer_fits(word))
		return 0;

	return error_set(err, ERROR_USAGE, "%s:%u: the number %.*s is out of range",
			 scan->file, scan->line, (int)(word.len < 40 ? word.len : 40),
			 word.at);
}

int settings_scan(struct span text, const char *file, struct error *err)
{
	struct scan scan = { .text = text, .line = 1, .file = file };

	if (memchr(text.at, '\0', text.len))
		return error_set(err, ERROR_USAGE, "%s: holds a NUL byte: no text", file);

	while (!at_end(&scan)) {
		char c = peek(&scan, 0);

		if (c == '#' || (c == '/' && peek(&scan, 1) == '/')) {
			skip_line(&scan);
		} else if (c == '/' && peek(&scan, 1) == '*') {
			skip_comment(&scan);
		} else if (c == '"') {
			skip_string(&scan);
		} else if (c == '@') {
			return error_set(
				err, ERROR_USAGE,
				"%s:%u: @include is not allowed: use " PATHS_CONFIG_DIR,
				file, scan.line);
		} else if (is_word_char(c)) {
			if (scan_word(&scan, err) < 0)
				return -1;
		} else {
			advance(&scan);
		}
	}

	return 0;
}
