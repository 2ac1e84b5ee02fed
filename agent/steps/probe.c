/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/probe.h"

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

enum probe_outcome probe_license_servers(const struct json *check,
					 const struct channel *channel, char *ret_detail,
					 size_t size)
{
	const struct json *servers = json_get(check, "servers");
	struct channel patient = *channel;
	cleanup_json struct json *request = json_build("{s:s, s:O, s:i}", "job", "probe",
						       "servers", servers, "timeout",
						       CONNECT_S);
	cleanup_json struct json *answer = NULL;
	enum probe_outcome found = PROBE_UNKNOWN;
	struct error ignored = ERROR_INIT;

	(void)text_copy(ret_detail, size, "not asked: no token names one");
	if (!request || json_count(servers) == 0)
		return PROBE_UNKNOWN;

	(void)text_copy(ret_detail, size, "no answer in time");
	patient.silence_s = SILENCE_S;
	if (channel_call(&patient, request, NULL, 0, &answer, &ignored) < 0)
		return PROBE_UNKNOWN;
	servers = json_get(answer, "servers");
	for (size_t i = 0; i < json_count(servers) && found != PROBE_OPEN; i++)
		found = read_outcome(json_at(servers, i), ret_detail, size);
	return found;
}
