/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "cli/cmd.h"
#include "commands/plan.h"

CMD_RUN(cmd_plan)
{
	(void)args;
	return command_plan(agent, ret_report, err);
}

static void print_candidates(const struct json *candidates)
{
	if (json_count(candidates) > 0)
		(void)puts("Candidates:");
	for (size_t i = 0; i < json_count(candidates); i++) {
		const struct json *one = json_at(candidates, i);

		(void)printf("  %s %s\n    %s\n",
			     json_get_bool(one, "accepted", false) ? "*" : "-",
			     cmd_word(one, "name"), cmd_word(one, "why"));
	}
}

static void print_checks(const struct json *checks)
{
	(void)puts("Checks:");
	for (size_t i = 0; i < json_count(checks); i++) {
		const struct json *one = json_at(checks, i);
		const struct json *ok = json_get(one, "ok");

		(void)printf("  %-5s %-15s %s\n",
			     json_kind(ok) != JSON_KIND_BOOL ? "-"
			     : json_as_bool(ok)              ? "ok"
							     : "no",
			     cmd_word(one, "name"), cmd_word(one, "detail"));
	}
}

static void print_driver(const struct json *driver)
{
	char bytes[40] = "";

	if (json_kind(driver) != JSON_KIND_OBJECT) {
		(void)puts("Driver  none");
		return;
	}
	if (json_get_int(driver, "bytes", 0) > 0)
		(void)snprintf(bytes, sizeof(bytes), ", %.1f MiB",
			       (double)json_get_int(driver, "bytes", 0) / 1048576.0);
	(void)printf("Driver  %s, rule \"%s\"\n", cmd_word(driver, "version"),
		     cmd_word(driver, "rule"));
	if (cmd_word(driver, "url")[0])
		(void)printf(
			"From    %s\n        %.1f MiB, integrity: %s, transfer: %s%s\n",
			cmd_word(driver, "url"),
			(double)json_get_int(driver, "size", 0) / 1048576.0,
			cmd_word(driver, "integrity"), cmd_word(driver, "transfer"),
			bytes);
}

CMD_PRINT(cmd_plan_print)
{
	const struct json *kernels = json_get(report, "kernels");
	const struct json *changes = json_get(report, "changes");
	const struct json *host = json_get(report, "host_driver");
	int64_t fails = json_get_int(report, "would_fail", 0);

	(void)args;
	(void)printf("Host    %s\n", json_get_string(host, "version")
					     ? cmd_word(host, "version")
					     : "driver version not known");
	print_driver(json_get(report, "driver"));
	for (size_t i = 0; i < json_count(kernels); i++)
		(void)printf("Kernel  %s: %s\n", cmd_word(json_at(kernels, i), "release"),
			     cmd_word(json_at(kernels, i), "action"));
	print_candidates(json_get(report, "candidates"));
	print_checks(json_get(report, "checks"));
	if (json_count(changes) > 0)
		(void)puts("Changes:");
	for (size_t i = 0; i < json_count(changes); i++)
		(void)printf("  %s  %s\n", cmd_word(json_at(changes, i), "path"),
			     cmd_word(json_at(changes, i), "detail"));
	if (fails)
		(void)printf("run would fail with status %d (%s)\n", (int)fails,
			     error_code_name((enum error_code)fails));
}
