/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether the license servers that a token names can be reached: a TCP connection, for a
 * DLS appliance shows a certificate of its own and promises no answer to any request.
 */

#include "base/channel.h"

enum probe_outcome {
	PROBE_UNKNOWN, /* nothing to ask, or it could not be asked in time */
	PROBE_OPEN,    /* one of them answers: enough */
	PROBE_REFUSED,
	PROBE_FILTERED,
	PROBE_UNRESOLVED, /* the name has no address */
	PROBE_TLS,        /* takes connections, and no TLS comes about */
};

/*
 * `check` is the worker's answer about the token. `ret_detail` names the server that
 * answers, or the last one that does not.
 */
enum probe_outcome probe_license_servers(const struct json *check,
					 const struct channel *channel, char *ret_detail,
					 size_t size);

struct probe_server {
	enum probe_outcome outcome;
	char detail[256];
	char host[144]; /* as a URL has it: "dls.example", "[2001:db8::10]" */
	int port;
	bool clock_known;
	int64_t offset_s; /* our clock less the server's Date */
};

/*
 * The same, and of a server that takes connections also whether TLS comes about and what
 * its clock says: one GET, of which nothing but the Date is believed.
 */
void probe_license_clock(const struct json *check, const struct channel *channel,
			 struct probe_server *ret_server);
