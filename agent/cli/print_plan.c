/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>

static void print_candidates(const struct json *candidates)
{
	if (json_count(candidates) > 0)
		(void)puts("Candidates:");
	for (size_t i = 0; i < json_count(candidates); i++) {
		const struct json *one = json_at(candidates, i);

		(void)printf("  %s %s\n    %s\n",
			     json_get_bool(one, "accepted", false) ? "*" : "-",
			     print_word(one, "name"), print_word(one, "why"));
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
	(void)printf("Driver  %s, rule \"%s\"\n", print_word(driver, "version"),
		     print_word(driver, "rule"));
	if (print_word(driver, "url")[0])
		(void)printf(
			"From    %s\n        %.1f MiB, integrity: %s, transfer: %s%s\n",
			print_word(driver, "url"),
			(double)json_get_int(driver, "size", 0) / 1048576.0,
			print_word(driver, "integrity"), print_word(driver, "transfer"),
			bytes);
}

void print_plan(const struct json *report, const struct request *request)
{
	const struct json *kernels = json_get(report, "kernels");
	const struct json *changes = json_get(report, "changes");
	const struct json *checks = json_get(report, "checks");
	const struct json *host = json_get(report, "host_driver");
	int64_t fails = json_get_int(report, "would_fail", 0);

	(void)request;
	(void)printf("Host    %s\n", json_get_string(host, "version")
					     ? print_word(host, "version")
					     : "driver version not known");
	print_driver(json_get(report, "driver"));
	for (size_t i = 0; i < json_count(kernels); i++)
		(void)printf("Kernel  %s: %s\n",
			     print_word(json_at(kernels, i), "release"),
			     print_word(json_at(kernels, i), "action"));
	print_candidates(json_get(report, "candidates"));
	(void)puts("Checks:");
	for (size_t i = 0; i < json_count(checks); i++)
		print_check(json_at(checks, i));
	if (json_count(changes) > 0)
		(void)puts("Changes:");
	for (size_t i = 0; i < json_count(changes); i++)
		(void)printf("  %s  %s\n", print_word(json_at(changes, i), "path"),
			     print_word(json_at(changes, i), "detail"));
	if (fails)
		(void)printf("run would fail with status %d (%s)\n", (int)fails,
			     error_code_name((enum error_code)fails));
}
