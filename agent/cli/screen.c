/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>

#include "base/file.h"
#include "base/log.h"
#include "base/span.h"

#define ROWS 24
#define COLUMNS 80
#define HOME "\033[H"
#define CLEAR "\033[2J"
#define CLEAR_LINE "\033[K"  /* from here to its end */
#define CLEAR_BELOW "\033[J" /* from here on */
#define MORE "..."

bool screen_is_there(void)
{
	return log_is_terminal(STDOUT_FILENO);
}

/* Characters, without the escape sequences of colours. */
static unsigned width_of(struct span line)
{
	unsigned width = 0;
	bool escape = false;

	for (size_t i = 0; i < line.len; i++) {
		unsigned char c = (unsigned char)line.at[i];

		if (c == '\033')
			escape = true;
		else if (escape)
			escape = c != 'm';
		else if ((c & 0xc0) != 0x80)
			width++;
	}
	return width;
}

/* A line that is too long goes on in the next row. */
static unsigned rows_of(struct span line, unsigned columns)
{
	unsigned width = width_of(line);

	return width == 0 ? 1 : (width + columns - 1) / columns;
}

static unsigned rows_of_all(const char *text, unsigned columns)
{
	struct span rest = span_of(text), line;
	unsigned rows = 0;

	while (span_next_line(&rest, &line))
		rows += rows_of(line, columns);
	return rows;
}

/*
 * Behind the last column a terminal still stands on it, and would clear what is there: a
 * full row leaves nothing to clear.
 */
static bool is_full(struct span line, unsigned columns)
{
	unsigned width = width_of(line);

	return width > 0 && width % columns == 0;
}

static void put_line(FILE *out, struct span line, unsigned columns, unsigned used)
{
	(void)fprintf(out, "%s%.*s%s", used ? "\r\n" : "", (int)line.len, line.at,
		      is_full(line, columns) ? "" : CLEAR_LINE);
}

static void put_lines(FILE *out, const char *text, unsigned rows, unsigned columns)
{
	bool fits = rows_of_all(text, columns) <= rows;
	unsigned room = fits ? rows : rows - 1, used = 0;
	struct span rest = span_of(text), line, last = span_of("");

	while (span_next_line(&rest, &line) && used + rows_of(line, columns) <= room) {
		put_line(out, line, columns, used);
		used += rows_of(line, columns);
		last = line;
	}
	if (!fits) {
		last = span_of(MORE);
		put_line(out, last, columns, used++);
	}
	if (used < rows)
		(void)fputs(is_full(last, columns) ? "\r\n" CLEAR_BELOW : CLEAR_BELOW,
			    out);
}

char *screen_frame(const char *text, unsigned rows, unsigned columns)
{
	char *frame = NULL;
	size_t size;
	FILE *out = open_memstream(&frame, &size);
	bool failed;

	if (!out)
		return NULL;
	(void)fputs(HOME, out);
	put_lines(out, text, rows, columns);
	failed = ferror(out);
	if (fclose(out) != 0 || failed) {
		free(frame);
		return NULL;
	}
	return frame;
}

int screen_draw(struct screen *screen, const char *text, struct error *err)
{
	struct winsize size = { 0 };
	cleanup_free char *frame = NULL, *bytes = NULL;
	unsigned rows, columns;
	int length;

	(void)ioctl(STDOUT_FILENO, TIOCGWINSZ, &size);
	rows = size.ws_row ? size.ws_row : ROWS;
	columns = size.ws_col ? size.ws_col : COLUMNS;
	frame = screen_frame(text, rows, columns);
	/* In a terminal of another size what was drawn before may stand anywhere. */
	length = frame ? asprintf(&bytes, "%s%s",
				  rows == screen->rows && columns == screen->columns
					  ? ""
					  : CLEAR,
				  frame)
		       : -1;
	if (length < 0) {
		bytes = NULL;
		return error_set_errno(err, ENOMEM, "drawing");
	}
	*screen = (struct screen){ rows, columns };
	if (file_write_all(STDOUT_FILENO, bytes, (size_t)length, err) < 0)
		return error_prefix(err, "writing to standard output");
	return 0;
}
