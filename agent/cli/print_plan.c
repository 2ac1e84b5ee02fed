/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>

#include "base/text.h"

#include "model/driver/version.h"

#define SHOWN 10

static void print_candidate(const struct json *one)
{
	(void)printf("  %s %s\n    %s\n",
		     json_get_bool(one, "accepted", false) ? "*" : "-",
		     json_get_words(one, "name"), json_get_words(one, "why"));
}

/* Whether of two candidates `a` is nearer to this version; the chosen one is nearest. */
static bool is_nearer(const struct json *a, const struct json *b, const char *version)
{
	bool chosen = json_get_bool(a, "accepted", false);
	unsigned parts = VERSION_PARTS;

	if (chosen != json_get_bool(b, "accepted", false))
		return chosen;
	for (unsigned i = 0; i < parts; i++) {
		long of_a = version_distance(json_get_words(a, "version"), version, i);
		long of_b = version_distance(json_get_words(b, "version"), version, i);

		if (of_a != of_b)
			return of_a < of_b;
	}
	return false;
}

/* Of thousands nobody reads more than the chosen one and what is next to it. */
static void print_nearest(const struct json *candidates, const char *version)
{
	const struct json *nearest[SHOWN];
	size_t count = 0;

	for (size_t i = 0; i < json_count(candidates); i++) {
		const struct json *one = json_at(candidates, i);
		size_t at = count < SHOWN ? count++ : SHOWN;

		for (; at > 0 && is_nearer(one, nearest[at - 1], version); at--) {
			if (at < SHOWN)
				nearest[at] = nearest[at - 1];
		}
		if (at < SHOWN)
			nearest[at] = one;
	}
	for (size_t i = 0; i < count; i++)
		print_candidate(nearest[i]);
	(void)printf("  and %zu more: --json lists them all\n",
		     json_count(candidates) - count);
}

static void print_candidates(const struct json *report)
{
	const struct json *candidates = json_get(report, "candidates");
	const char *version = json_get_words(json_get(report, "driver"), "version");

	if (json_count(candidates) > 0)
		(void)puts("Candidates:");
	if (json_count(candidates) > SHOWN) {
		print_nearest(candidates,
			      version[0] ? version
					 : json_get_words(json_get(report, "host_driver"),
							  "version"));
		return;
	}
	for (size_t i = 0; i < json_count(candidates); i++)
		print_candidate(json_at(candidates, i));
}

/* Of a guest that is not here only what could be checked. */
static void print_checks(const struct json *checks, bool supposed)
{
	(void)puts("Checks:");
	for (size_t i = 0; i < json_count(checks); i++) {
		const struct json *check = json_at(checks, i);

		if (!supposed || json_kind(json_get(check, "ok")) == JSON_KIND_BOOL)
			print_check(check);
	}
}

/* A checksum that came the same way as the file vouches for no more than the way does. */
static void print_trust(const char *integrity)
{
	if (text_ends(integrity, "tls"))
		(void)puts("        TLS alone: who holds the server or the process that "
			   "talks to it decides;\n        driver.index_key or "
			   "driver.sha256 takes both out");
}

static void print_driver(const struct json *driver)
{
	char bytes[40] = "", size[TEXT_SIZE_MAX + 2] = "", moved[TEXT_SIZE_MAX];

	if (json_kind(driver) != JSON_KIND_OBJECT) {
		(void)puts("Driver  none");
		return;
	}
	text_size((uint64_t)json_get_int(driver, "bytes", 0), moved);
	if (json_get_int(driver, "bytes", 0) > 0)
		(void)text_format(bytes, sizeof(bytes), ", %s", moved);
	text_size((uint64_t)json_get_int(driver, "size", 0), moved);
	if (json_get_int(driver, "size", 0) > 0)
		(void)text_format(size, sizeof(size), "%s, ", moved);
	(void)printf("Driver  %s, rule \"%s\"\n", json_get_words(driver, "version"),
		     json_get_words(driver, "rule"));
	if (!json_get_words(driver, "url")[0])
		return;
	(void)printf("From    %s\n        %sintegrity: %s, transfer: %s%s\n",
		     json_get_words(driver, "url"), size,
		     json_get_words(driver, "integrity"),
		     json_get_words(driver, "transfer"), bytes);
	print_trust(json_get_words(driver, "integrity"));
}

void print_plan(const struct json *report, const struct request *request)
{
	const struct json *kernels = json_get(report, "kernels");
	const struct json *changes = json_get(report, "changes");
	const struct json *unasked = json_get(report, "unasked");
	const struct json *host = json_get(report, "host_driver");
	bool supposed = request->options.host_version != NULL;
	int64_t fails = json_get_int(report, "would_fail", 0);

	(void)printf("Host    %s%s\n",
		     json_get_string(host, "version") ? json_get_words(host, "version")
						      : "driver version not known",
		     supposed ? ", supposed by --host-version" : "");
	print_driver(json_get(report, "driver"));
	if (json_kind(json_get(report, "previous")) == JSON_KIND_OBJECT)
		(void)printf("Before  %s, kept: \"install --previous\" puts it back\n",
			     json_get_words(json_get(report, "previous"), "version"));
	for (size_t i = 0; i < json_count(kernels); i++)
		(void)printf("Kernel  %s: %s\n",
			     json_get_words(json_at(kernels, i), "release"),
			     json_get_words(json_at(kernels, i), "action"));
	print_candidates(report);
	print_checks(json_get(report, "checks"), supposed);
	if (json_count(changes) > 0)
		(void)puts("Changes:");
	for (size_t i = 0; i < json_count(changes); i++)
		(void)printf("  %s  %s\n", json_get_words(json_at(changes, i), "path"),
			     json_get_words(json_at(changes, i), "detail"));
	for (size_t i = 0; i < json_count(unasked); i++)
		(void)printf("Not asked: %s: %s\n",
			     json_get_words(json_at(unasked, i), "what"),
			     json_get_words(json_at(unasked, i), "why"));
	if (fails)
		(void)printf("run would fail with status %d (%s)\n", (int)fails,
			     error_code_name((enum error_code)fails));
	/* Where plan itself fails its error has said that. */
	if (json_get_words(report, "hint")[0] && !json_get(report, "error"))
		(void)printf("  fix: %s\n", json_get_words(report, "hint"));
}
