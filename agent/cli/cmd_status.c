/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cmd.h"
#include "core/status.h"

CMD_RUN(cmd_status)
{
	return status_read(agent, args->wait_s, ret_report, err);
}

static void print_left(int64_t seconds)
{
	if (seconds <= 0)
		(void)fputs(" (expired)", stdout);
	else if (seconds < 7200)
		(void)printf(" (%lld min left)", (long long)(seconds / 60));
	else if (seconds < 172800)
		(void)printf(" (%lld h left)", (long long)(seconds / 3600));
	else
		(void)printf(" (%lld days left)", (long long)(seconds / 86400));
}

static const char *colour_of(const char *state)
{
	if (!log_has_colour(STDOUT_FILENO))
		return "";
	return strcmp(state, "licensed") == 0 ? "\033[32m" : "\033[31m";
}

static void print_feature(const struct json *gpu, const struct json *feature)
{
	const char *colour = colour_of(cmd_word(feature, "state"));
	const char *expiry = cmd_word(feature, "expiry");
	int64_t when;

	(void)printf("%-17s %-24s %-34s %s%s%s", cmd_word(gpu, "id"),
		     cmd_word(gpu, "name"), cmd_word(feature, "product"), colour,
		     cmd_word(feature, "status"), colour[0] ? "\033[0m" : "");
	if (expiry[0] && clock_read(expiry, &when))
		print_left(when - clock_now());
	(void)putchar('\n');
}

CMD_PRINT(cmd_status_print)
{
	const struct json *gpus = json_get(report, "gpus");

	(void)args;
	if (json_count(gpus) == 0)
		return;
	(void)printf("Driver %s\n%-17s %-24s %-34s %s\n",
		     cmd_word(report, "driver_version"), "GPU", "NAME", "PRODUCT",
		     "LICENSE");
	for (size_t i = 0; i < json_count(gpus); i++) {
		const struct json *gpu = json_at(gpus, i);
		const struct json *features = json_get(gpu, "features");

		if (json_count(features) == 0)
			(void)printf("%-17s %-24s %-34s %s\n", cmd_word(gpu, "id"),
				     cmd_word(gpu, "name"), "-",
				     json_get_bool(gpu, "needs_license", false)
					     ? "none in the driver's report"
					     : "not needed");
		for (size_t k = 0; k < json_count(features); k++)
			print_feature(gpu, json_at(features, k));
	}
}
