/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>

static void print_server(const struct json *server)
{
	const struct json *ports = json_get(server, "ports");

	(void)printf("  server: %s", json_get_words(server, "host"));
	for (size_t i = 0; i < json_count(ports); i++)
		(void)printf("%s %lld", i ? "," : " port",
			     (long long)json_as_int(json_at(ports, i)));
	(void)putchar('\n');
}

void print_token(const struct json *report, const struct request *request)
{
	const struct json *problems = json_get(report, "problems");
	const struct json *servers = json_get(report, "servers");
	const char *signature = json_get_string(report, "signature");
	char until[64];
	int64_t size = json_get_int(report, "size", 0);

	(void)request;
	/* None, or an empty one: the error has said all there is. */
	if (size == 0)
		return;
	(void)printf("%s, %lld bytes\n",
		     json_get_bool(report, "valid", false)
			     ? "The token can be installed"
			     : "The token cannot be installed",
		     (long long)size);
	for (size_t i = 0; i < json_count(problems); i++) {
		const struct json *one = json_at(problems, i);

		(void)printf("  %s: %s\n", json_get_words(one, "severity"),
			     json_get_words(one, "message"));
	}
	for (size_t i = 0; i < json_count(servers); i++)
		print_server(json_at(servers, i));
	if (print_until(json_get_words(report, "expires"), until, sizeof(until)))
		(void)printf("  expires: %s\n", until);
	if (signature)
		(void)printf("  signature: %s\n", signature);
}
