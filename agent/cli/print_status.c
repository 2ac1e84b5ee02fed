/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/print.h"
#include "cli/screen.h"

#define COLUMNS 5
#define CELL 128

struct row {
	char cells[COLUMNS][CELL];
	const char *state;
};

struct table {
	int widths[COLUMNS];
	FILE *out;
};

static void say_left(int64_t seconds, char *text, size_t size)
{
	if (seconds <= 0)
		(void)text_copy(text, size, "expired");
	else if (seconds < 7200)
		(void)text_format(text, size, "%lld min left", (long long)(seconds / 60));
	else if (seconds < 172800)
		(void)text_format(text, size, "%lld h left", (long long)(seconds / 3600));
	else
		(void)text_format(text, size, "%lld days left",
				  (long long)(seconds / 86400));
}

/* "2026-11-24 18:01:02 UTC, 23 h left"; a kind without a date as the driver words it. */
static void say_expiry(const struct json *feature, char *text, size_t size)
{
	const char *expiry = print_word(feature, "expiry");
	const char *kind = print_word(feature, "expiry_kind");
	char left[32];
	int64_t when;

	if (!expiry[0] || !clock_read(expiry, &when)) {
		(void)text_copy(text, size, kind[0] ? kind : "-");
		return;
	}
	say_left(when - clock_now(), left, sizeof(left));
	(void)text_format(text, size, "%.10s %.8s UTC, %s", expiry, expiry + 11, left);
}

/* The words before "(Expiry: ...)", which has a column of its own. */
static void say_license(const struct json *feature, char *text, size_t size)
{
	const char *status = print_word(feature, "status");
	char *expiry;

	(void)text_copy(text, size, status);
	expiry = strstr(text, " (Expiry:");
	if (expiry)
		*expiry = '\0';
}

static void fill_row(const struct json *gpu, const struct json *feature, struct row *row)
{
	const char *none = json_get_bool(gpu, "needs_license", false)
				   ? "none in the driver's report"
				   : "not needed";

	(void)text_copy(row->cells[0], CELL, print_word(gpu, "id"));
	(void)text_copy(row->cells[1], CELL, print_word(gpu, "name"));
	if (!feature) {
		(void)text_copy(row->cells[2], CELL, "-");
		(void)text_copy(row->cells[3], CELL, none);
		(void)text_copy(row->cells[4], CELL, "-");
		row->state = "";
		return;
	}
	(void)text_copy(row->cells[2], CELL, print_word(feature, "product"));
	say_license(feature, row->cells[3], CELL);
	say_expiry(feature, row->cells[4], CELL);
	row->state = print_word(feature, "state");
}

static void print_row(const struct row *row, struct table *table)
{
	const char *colour = "", *end = "";
	const int *widths = table->widths;

	if (row->state[0] && log_has_colour(STDOUT_FILENO)) {
		colour = strcmp(row->state, "licensed") == 0 ? "\033[32m" : "\033[31m";
		end = "\033[0m";
	}
	(void)fprintf(table->out, "%-*s  %-*s  %-*s  %s%-*s%s  %s\n", widths[0],
		      row->cells[0], widths[1], row->cells[1], widths[2], row->cells[2],
		      colour, widths[3], row->cells[3], end, row->cells[4]);
}

/* Every row of the table in turn; a GPU without a license section has one, too. */
static void each_row(const struct json *report, struct table *table,
		     void (*each)(const struct row *row, struct table *table))
{
	const struct json *gpus = json_get(report, "gpus");

	for (size_t i = 0; i < json_count(gpus); i++) {
		const struct json *gpu = json_at(gpus, i);
		const struct json *features = json_get(gpu, "features");
		size_t count = json_count(features);

		for (size_t k = 0; k < (count ? count : 1); k++) {
			struct row row;

			fill_row(gpu, count ? json_at(features, k) : NULL, &row);
			each(&row, table);
		}
	}
}

static void widen_columns(const struct row *row, struct table *table)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		int width = (int)strlen(row->cells[i]);

		if (width > table->widths[i])
			table->widths[i] = width;
	}
}

static void print_table(const struct json *report, FILE *out)
{
	static const struct row heading = {
		{ "GPU", "NAME", "PRODUCT", "LICENSE", "EXPIRES" }, ""
	};
	struct table table = { .out = out };

	if (json_count(json_get(report, "gpus")) == 0)
		return;
	(void)fprintf(out, "Driver %s\n", print_word(report, "driver_version"));
	widen_columns(&heading, &table);
	each_row(report, &table, widen_columns);
	print_row(&heading, &table);
	each_row(report, &table, print_row);
}

static void print_to(const struct json *report, bool prometheus, FILE *out)
{
	if (prometheus)
		(void)fputs(print_word(report, "metrics"), out);
	else
		print_table(report, out);
}

void print_status(const struct json *report, const struct request *request)
{
	print_to(report, request->prometheus, stdout);
}

/* One look of many, as text that the caller frees. */
static int render_look(const struct request *request, const struct json *report,
		       const struct error *now, char **ret_text, struct error *err)
{
	char time[CLOCK_TEXT_SIZE];
	size_t size;
	FILE *out = open_memstream(ret_text, &size);

	if (!out)
		return error_set_errno(err, errno, "showing the status");
	if (!request->prometheus)
		(void)fprintf(out, "%s\n", clock_text(clock_now(), time, sizeof(time)));
	if (report)
		print_to(report, request->prometheus, out);
	if (now->code && !request->prometheus)
		(void)fprintf(out, "%s\n%s%s", now->text, now->hint,
			      now->hint[0] ? "\n" : "");
	if (fclose(out) != 0)
		return error_set_errno(err, errno, "showing the status");
	return 0;
}

int print_status_look(const struct request *request, const struct json *report,
		      const struct error *now, struct error *err)
{
	static struct screen screen;
	cleanup_free char *text = NULL;

	if (render_look(request, report, now, &text, err) < 0)
		return -1;
	if (screen_is_there())
		return screen_draw(&screen, text, err);
	if (printf("%s\n", text) < 0 || fflush(stdout) != 0)
		return error_set_errno(err, errno, "writing to standard output");
	return 0;
}

void print_status_end(void)
{
	if (screen_is_there())
		(void)putchar('\n');
}
