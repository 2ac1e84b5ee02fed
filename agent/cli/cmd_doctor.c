/* SPDX-License-Identifier: Apache-2.0 */

/*
 * doctor: the causes, likeliest first, then every check.
 */

#include <stdio.h>

#include "base/log.h"
#include "cli/cmd.h"
#include "doctor/examine.h"
#include "doctor/support.h"

CMD_RUN(cmd_doctor)
{
	int result = examine_guest(agent, ret_report, err);

	if (args->bundle && *ret_report) {
		struct error found = *err;

		if (support_write(agent, *ret_report, args->bundle, err) < 0)
			return -1;
		*err = found;
		log_line(LOG_LEVEL_NOTICE,
			 "doctor     the support archive is %s: look at it before you "
			 "hand it on",
			 args->bundle);
	}
	/* People read the causes on standard output: the error says only what they mean.
	 */
	if (result < 0 && *ret_report && !args->json) {
		const struct json *first = json_at(json_get(*ret_report, "causes"), 0);

		return error_set(err, err->code, "likeliest cause: %s",
				 cmd_word(first, "code"));
	}
	return result;
}

static void print_cause(const struct json *cause)
{
	bool certain = json_get_bool(cause, "certain", false);
	const char *colour = !log_has_colour(STDOUT_FILENO) ? ""
			     : certain                      ? "\033[31m"
							    : "\033[33m";

	(void)printf("%s%s%s%s: %s\n  fix: %s\n", colour, cmd_word(cause, "code"),
		     colour[0] ? "\033[0m" : "", certain ? "" : " (perhaps)",
		     cmd_word(cause, "message"), cmd_word(cause, "hint"));
}

static void print_check(const struct json *check)
{
	const struct json *ok = json_get(check, "ok");

	(void)printf("  %-5s %-15s %s\n",
		     json_kind(ok) != JSON_KIND_BOOL ? "-"
		     : json_as_bool(ok)              ? "ok"
						     : "no",
		     cmd_word(check, "name"), cmd_word(check, "detail"));
}

CMD_PRINT(cmd_doctor_print)
{
	const struct json *causes = json_get(report, "causes");
	const struct json *checks = json_get(report, "checks");

	(void)args;
	if (json_count(causes) == 0)
		(void)puts("Nothing is wrong.");
	for (size_t i = 0; i < json_count(causes); i++)
		print_cause(json_at(causes, i));
	(void)puts("Checks:");
	for (size_t i = 0; i < json_count(checks); i++)
		print_check(json_at(checks, i));
}
