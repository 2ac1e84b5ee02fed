/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/probe.h"

#include <string.h>

#include "base/text.h"

#define CONNECT_S 3
#define SILENCE_S 20 /* a resolver may think for long; the check does not wait for it */

static const struct {
	const char *name, *words;
	enum probe_outcome outcome;
} outcomes[] = {
	{ "open", "answers", PROBE_OPEN },
	{ "refused", "refuses the connection", PROBE_REFUSED },
	{ "filtered", "does not answer: filtered, or down", PROBE_FILTERED },
	{ "dns", "has no address: its name cannot be resolved", PROBE_UNRESOLVED },
	{ "tls", "takes connections, and no TLS comes about", PROBE_TLS },
};

static enum probe_outcome read_outcome(const struct json *server, char *detail,
				       size_t size)
{
	const char *name = json_get_string(server, "outcome");
	const char *host = json_get_string(server, "host");

	for (size_t i = 0; name && host && i < ARRAY_SIZE(outcomes); i++) {
		if (strcmp(outcomes[i].name, name) != 0)
			continue;
		(void)text_format(detail, size, "%.128s port %d %s", host,
				  (int)json_get_int(server, "port", 0),
				  outcomes[i].words);
		text_sanitize(detail);
		return outcomes[i].outcome;
	}
	return PROBE_UNKNOWN;
}

static void name_server(const struct json *one, struct probe_server *server)
{
	const char *host = json_get_words(one, "host");
	bool v6 = strchr(host, ':') != NULL;

	(void)text_format(server->host, sizeof(server->host), "%s%.128s%s", v6 ? "[" : "",
			  host, v6 ? "]" : "");
	text_sanitize(server->host);
	server->port = (int)json_get_int(one, "port", 0);
}

/* Fills `server` with the first server that answers, else with the last that did not. */
static void ask_servers(const struct json *check, bool date,
			const struct channel *channel, struct probe_server *server)
{
	const struct json *servers = json_get(check, "servers");
	struct channel patient = *channel;
	cleanup_json struct json *request =
		json_build("{s:s, s:O, s:i, s:b}", "job", "probe", "servers", servers,
			   "timeout", CONNECT_S, "date", (int)date);
	cleanup_json struct json *answer = NULL;
	struct error ignored = ERROR_INIT;

	(void)text_copy(server->detail, sizeof(server->detail),
			"not asked: no token names one");
	if (!request || json_count(servers) == 0)
		return;

	(void)text_copy(server->detail, sizeof(server->detail), "no answer in time");
	patient.silence_s = SILENCE_S;
	if (channel_call(&patient, request, NULL, 0, &answer, &ignored) < 0)
		return;
	servers = json_get(answer, "servers");
	for (size_t i = 0; i < json_count(servers) && server->outcome != PROBE_OPEN;
	     i++) {
		const struct json *one = json_at(servers, i);
		const struct json *offset = json_get(one, "offset");

		name_server(one, server);
		server->outcome =
			read_outcome(one, server->detail, sizeof(server->detail));
		server->clock_known = json_kind(offset) == JSON_KIND_INT;
		server->offset_s = json_as_int(offset);
	}
}

enum probe_outcome probe_license_servers(const struct json *check,
					 const struct channel *channel, char *ret_detail,
					 size_t size)
{
	struct probe_server server = { .outcome = PROBE_UNKNOWN };

	ask_servers(check, false, channel, &server);
	(void)text_copy(ret_detail, size, server.detail);
	return server.outcome;
}

void probe_license_clock(const struct json *check, const struct channel *channel,
			 struct probe_server *ret_server)
{
	*ret_server = (struct probe_server){ .outcome = PROBE_UNKNOWN };
	ask_servers(check, true, channel, ret_server);
}
