/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>

void print_token(const struct json *report, const struct request *request)
{
	const struct json *problems = json_get(report, "problems");
	const struct json *servers = json_get(report, "servers");
	const char *expires = json_get_string(report, "expires");
	const char *signature = json_get_string(report, "signature");
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
		const char *severity = json_get_string(one, "severity");
		const char *message = json_get_string(one, "message");

		(void)printf("  %s: %s\n", severity ? severity : "",
			     message ? message : "");
	}
	for (size_t i = 0; i < json_count(servers); i++) {
		const char *host = json_get_string(json_at(servers, i), "host");

		(void)printf("  server: %s\n", host ? host : "");
	}
	if (expires)
		(void)printf("  expires: %s\n", expires);
	if (signature)
		(void)printf("  signature: %s\n", signature);
}
