/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/token.h"

#include <string.h>

#include "base/text.h"

static bool is_severity(const struct json *problem, const char *severity)
{
	const char *text = json_get_string(problem, "severity");

	return text && strcmp(text, severity) == 0;
}

static const char *message_of(const struct json *problem)
{
	const char *text = json_get_string(problem, "message");

	return text ? text : "the worker does not say why";
}

static bool has_code(const struct json *problem, const char *code)
{
	const char *text = json_get_string(problem, "code");

	return text && strcmp(text, code) == 0;
}

static int refuse_token(const struct json *problem, struct error *err)
{
	(void)error_set(err, ERROR_TOKEN, "%s", message_of(problem));

	if (has_code(problem, "missing"))
		return error_hint(err, "generate a client configuration token on the "
				       "license server and name it in "
				       "license.token_file or in the metadata");
	if (has_code(problem, "glued"))
		return error_hint(err, "keep one token: generate a new one, or replace "
				       "the file instead of appending to it");
	return error_hint(err, "copy the token's file as it was downloaded, or put it "
			       "into the metadata as client_token_base64");
}

static bool is_base64url(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '-' || c == '_';
}

bool token_looks_like(struct span head)
{
	static const char begin[] = "eyJ"; /* of an object, whatever is in it */
	const char *at = head.len ? memmem(head.at, head.len, begin, 3) : NULL;
	const char *end = head.at + head.len;

	if (!at)
		return false;
	while (at < end && is_base64url(*at))
		at++;
	return at < end && *at == '.';
}

int token_accept(const struct json *check, char *ret_warning, size_t size,
		 struct error *err)
{
	const struct json *problems = json_get(check, "problems");
	size_t used = 0;

	if (json_kind(problems) != JSON_KIND_ARRAY)
		return error_set(err, ERROR_INTERNAL,
				 "the check of the token has no "
				 "problems list");

	for (size_t i = 0; i < json_count(problems); i++) {
		if (!is_severity(json_at(problems, i), "warning"))
			return refuse_token(json_at(problems, i), err);
	}

	*ret_warning = '\0';
	for (size_t i = 0; i < json_count(problems); i++) {
		if (!text_format(ret_warning + used, size - used, "%s%s",
				 used ? "; " : "", message_of(json_at(problems, i))))
			break;
		used = strlen(ret_warning);
	}
	return 0;
}

bool token_is_suspect(const struct json *check)
{
	const struct json *problems = json_get(check, "problems");

	if (json_kind(problems) != JSON_KIND_ARRAY)
		return true;

	for (size_t i = 0; i < json_count(problems); i++) {
		const struct json *problem = json_at(problems, i);

		if (!has_code(problem, "bom") && !has_code(problem, "whitespace"))
			return true;
	}
	return false;
}

/* An address of IPv6 has at least two colons; a name has none. */
static bool is_bare(const char *host)
{
	const char *colon = strchr(host, ':');

	if (!host[0] || strpbrk(host, "/[]@?# "))
		return false;
	return !colon || strchr(colon + 1, ':');
}

bool token_server_form(const struct json *check, char *ret_server, size_t size)
{
	const struct json *servers = json_get(check, "servers");

	*ret_server = '\0';
	for (size_t i = 0; i < json_count(servers); i++) {
		const char *host = json_get_string(json_at(servers, i), "host");

		if (!host || is_bare(host))
			continue;
		(void)text_copy(ret_server, size, host);
		return false;
	}
	return true;
}

int token_add_several(struct json *check, size_t count)
{
	const struct json *problems = json_get(check, "problems");
	cleanup_json struct json *longer = json_build("[]");
	char message[128];

	for (size_t i = 0; i < json_count(problems); i++) {
		if (json_append(longer, json_build("O", json_at(problems, i))) < 0)
			return -1;
	}

	(void)text_format(message, sizeof(message),
			  "the folder holds %zu tokens; nvidia-gridd wants one", count);
	if (json_append(longer, json_build("{s:s, s:s, s:s}", "code", "several",
					   "severity", "warning", "message", message)) <
	    0)
		return -1;
	return json_set(check, "problems", take_ptr(longer));
}
