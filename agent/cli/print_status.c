/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "cli/print.h"
#include "cli/screen.h"

#define CELL 128

/* A kind without a date as the driver words it. */
static void say_expiry(const struct json *feature, char *text, size_t size)
{
	const char *kind = json_get_words(feature, "expiry_kind");

	if (!print_until(json_get_words(feature, "expiry"), text, size))
		(void)text_copy(text, size, kind[0] ? kind : "-");
}

/* The words before "(Expiry: ...)", which has a column of its own. */
static void say_license(const struct json *feature, char *text, size_t size)
{
	const char *status = json_get_words(feature, "status");
	char *expiry;

	(void)text_copy(text, size, status);
	expiry = strstr(text, " (Expiry:");
	if (expiry)
		*expiry = '\0';
}

/* Its product and license, then when that ends: two lines of at most 80 columns. */
static void print_feature(const struct json *feature, FILE *out)
{
	const char *state = json_get_words(feature, "state");
	const char *colour = "", *end = "";
	char license[CELL], expiry[CELL];

	if (state[0] && log_has_colour(STDOUT_FILENO)) {
		colour = strcmp(state, "licensed") == 0 ? "\033[32m" : "\033[31m";
		end = "\033[0m";
	}
	say_license(feature, license, sizeof(license));
	say_expiry(feature, expiry, sizeof(expiry));
	(void)fprintf(out, "  %.40s: %s%.36s%s\n", json_get_words(feature, "product"),
		      colour, license, end);
	if (strcmp(expiry, "-") != 0)
		(void)fprintf(out, "  expires: %.60s\n", expiry);
}

/* A GPU without a license section is told, too. */
static void print_gpu(const struct json *gpu, FILE *out)
{
	const struct json *features = json_get(gpu, "features");

	(void)fprintf(out, "GPU %.20s  %.54s\n", json_get_words(gpu, "id"),
		      json_get_words(gpu, "name"));
	for (size_t i = 0; i < json_count(features); i++)
		print_feature(json_at(features, i), out);
	if (json_count(features) == 0)
		(void)fprintf(out, "  license: %s\n",
			      json_get_bool(gpu, "needs_license", false)
				      ? "none in the driver's report"
				      : "not needed");
}

static void print_gpus(const struct json *report, FILE *out)
{
	const struct json *gpus = json_get(report, "gpus");

	if (json_count(gpus) > 0)
		(void)fprintf(out, "Driver %s\n",
			      json_get_words(report, "driver_version"));
	for (size_t i = 0; i < json_count(gpus); i++)
		print_gpu(json_at(gpus, i), out);
}

/* A driver that was passed over: by its kernel, never by the host. */
static void print_builds(const struct json *report, FILE *out)
{
	const struct json *builds = json_get(report, "builds");

	for (size_t i = 0; i < json_count(builds); i++) {
		const struct json *build = json_at(builds, i);

		(void)fprintf(
			out, "Driver %s does not compile for this kernel:\n  %.76s\n",
			json_get_words(build, "version"), json_get_words(build, "why"));
	}
}

static void print_to(const struct json *report, bool prometheus, FILE *out)
{
	if (prometheus)
		(void)fputs(json_get_words(report, "metrics"), out);
	else {
		print_gpus(report, out);
		print_builds(report, out);
	}
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
