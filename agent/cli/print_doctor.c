/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>

#include "base/log.h"

static void print_cause(const struct json *cause)
{
	bool certain = json_get_bool(cause, "certain", false);
	const char *colour = !log_has_colour(STDOUT_FILENO) ? ""
			     : certain                      ? "\033[31m"
							    : "\033[33m";

	(void)printf("%s%s%s%s: %s\n  fix: %s\n", colour, json_get_words(cause, "code"),
		     colour[0] ? "\033[0m" : "", certain ? "" : " (perhaps)",
		     json_get_words(cause, "message"), json_get_words(cause, "hint"));
}

void print_doctor(const struct json *report, const struct request *request)
{
	const struct json *causes = json_get(report, "causes");
	const struct json *checks = json_get(report, "checks");

	(void)request;
	if (json_count(causes) == 0 && !json_get(report, "error"))
		(void)puts("Nothing is wrong.");
	for (size_t i = 0; i < json_count(causes); i++)
		print_cause(json_at(causes, i));
	(void)puts("Checks:");
	for (size_t i = 0; i < json_count(checks); i++)
		print_check(json_at(checks, i));
}
