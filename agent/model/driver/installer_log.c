/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/installer_log.h"

#include <string.h>

#include "base/text.h"

#define LINES 2
#define LINE_MAX_LEN 240

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

/* Two blanks after full stops are part of most texts, one of some. */
static void fold(struct span line, char *ret_text, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < line.len && used + 1 < size; i++) {
		char c = line.at[i];

		if (is_blank(c))
			c = ' ';
		if (c == ' ' && used > 0 && ret_text[used - 1] == ' ')
			continue;
		ret_text[used++] = c;
	}
	ret_text[used] = '\0';
	text_sanitize(ret_text);
}

static void append_line(const char *line, char *text, size_t size)
{
	size_t used = strlen(text);

	(void)text_format(text + used, size - used, "%s%s", used ? "; " : "", line);
}

void installer_log_errors(struct span log, char *ret_text, size_t size)
{
	struct span line;
	char last[LINE_MAX_LEN] = "", folded[LINE_MAX_LEN];
	int found = 0;

	ret_text[0] = '\0';
	while (found < LINES && span_next_line(&log, &line)) {
		if (!span_skip(&line, "ERROR: "))
			continue;
		fold(span_trim(line), folded, sizeof(folded));
		if (text_starts(folded, "Installation has failed")) {
			memcpy(last, folded, sizeof(last));
			continue;
		}
		append_line(folded, ret_text, size);
		found++;
	}
	if (found == 0)
		append_line(last, ret_text, size);
}

static bool is_name_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-';
}

bool installer_log_has_option(struct span help, const char *option)
{
	size_t length = strlen(option);

	while (help.len >= length) {
		const char *at = memmem(help.at, help.len, option, length);
		size_t end;

		if (!at)
			return false;
		end = (size_t)(at - help.at) + length;
		/* "--no-kernel-module" is not "--no-kernel-modules". */
		if (end == help.len || !is_name_char(help.at[end]))
			return true;
		help = (struct span){ .at = help.at + end, .len = help.len - end };
	}
	return false;
}
