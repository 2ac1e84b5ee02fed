/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"

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

bool print_until(const char *time, char *text, size_t size)
{
	char left[32];
	int64_t when;

	if (!clock_read(time, &when))
		return false;
	say_left(when - clock_now(), left, sizeof(left));
	return text_format(text, size, "%.10s %.8s UTC, %s", time, time + 11, left);
}

void print_check(const struct json *check)
{
	const struct json *ok = json_get(check, "ok");

	(void)printf("  %-5s %-15s %s\n",
		     json_kind(ok) != JSON_KIND_BOOL ? "-"
		     : json_as_bool(ok)              ? "ok"
						     : "no",
		     json_get_words(check, "name"), json_get_words(check, "detail"));
}

/* The lines were said while the steps ran; what is left is the end of the story. */
void print_steps(const struct json *report, const struct request *request)
{
	const struct json *steps = json_get(report, "steps"), *first = json_at(steps, 0);
	size_t changed = 0, skipped = 0;

	(void)request;
	if (json_get(report, "error"))
		return;
	for (size_t i = 0; i < json_count(steps); i++) {
		const char *outcome = json_get_words(json_at(steps, i), "outcome");

		changed += strcmp(outcome, "changed") == 0;
		skipped += strcmp(outcome, "skipped") == 0;
	}
	/* Of steps that were all left out no line has said why. */
	if (skipped > 0 && skipped == json_count(steps))
		(void)printf("Nothing to do: %s.\n", json_get_words(first, "detail"));
	else if (changed == 0)
		(void)puts("Nothing to do.");
	else
		(void)printf("Done: %zu step%s changed something.\n", changed,
			     changed == 1 ? "" : "s");
}

void print_guest(const struct json *report, const struct request *request)
{
	const struct json *gpus = json_get(report, "gpus");
	const struct json *kernels = json_get(report, "kernels");
	const struct json *os = json_get(report, "os");

	(void)request;
	for (size_t i = 0; i < json_count(gpus); i++) {
		const struct json *gpu = json_at(gpus, i);
		const struct json *host = json_get(gpu, "host_driver");
		const char *note = json_get_words(gpu, "note");

		(void)printf("GPU     %s  %s %s  %s", json_get_words(gpu, "address"),
			     json_get_words(gpu, "device_id"),
			     json_get_words(gpu, "subsystem_device_id"),
			     json_get_words(gpu, "kind"));
		if (json_get_string(host, "version"))
			(void)printf("  host driver %s (%s)",
				     json_get_words(host, "version"),
				     json_get_words(host, "branch"));
		(void)printf("%s%s\n", note[0] ? "  " : "", note);
	}
	(void)printf("System  %s %s, %s\n", json_get_words(os, "id"),
		     json_get_words(os, "version_id"), json_get_words(os, "arch"));
	for (size_t i = 0; i < json_count(kernels); i++) {
		const struct json *kernel = json_at(kernels, i);

		(void)printf("Kernel  %s%s, %s\n", json_get_words(kernel, "release"),
			     json_get_bool(kernel, "running", false) ? " (running)" : "",
			     json_get_bool(kernel, "headers", false) ? "headers"
								     : "no headers");
	}
}

void print_path(const struct json *report, const struct request *request)
{
	const char *path = json_get_string(report, "path");

	(void)request;
	if (path)
		(void)puts(path);
}

/* The document is for the repository: people get its bytes, too, or its place. */
void print_index(const struct json *report, const struct request *request)
{
	cleanup_free char *text = request->output ? NULL : json_print(report);

	if (text)
		(void)puts(text);
	else if (request->output)
		(void)puts(request->output);
}

struct setting_look {
	bool origin; /* where each value comes from, too */
};

static bool print_setting(void *context, const char *key, const struct json *setting)
{
	const struct setting_look *look = context;
	cleanup_free char *value = json_print(json_get(setting, "value"));

	if (look->origin)
		(void)printf("%-28s = %-24s # %s\n", key, value ? value : "",
			     json_get_words(setting, "origin"));
	else
		(void)printf("%-28s = %s\n", key, value ? value : "");
	return true;
}

void print_settings(const struct json *report, const struct request *request)
{
	struct setting_look look = { .origin = request->origin };

	json_each(json_get(report, "settings"), print_setting, &look);
}

void print_valid(const struct json *report, const struct request *request)
{
	(void)request;
	if (!json_get(report, "error"))
		(void)puts("The configuration is valid.");
}
