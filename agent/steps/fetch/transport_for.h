/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What of the transport a job may have that asks one server. A net worker that this
 * server has taken over has no credentials of another one to give away.
 */

#include "base/error.h"
#include "model/transport.h"

struct transport_for {
	struct transport transport; /* a number without a file: -1; the others belong to
				       the whole */
	int netrc;                  /* ours, among them; -1: none */
};

#define TRANSPORT_FOR_INIT ((struct transport_for){ .netrc = -1 })

/*
 * Numbers stay as they are in `all`. Certificate, key, header and netrc only for the host
 * of a URL that root's files name, and of the netrc what it says of that host.
 */
must_check int transport_for(const struct transport *all, const char *url,
			     struct transport_for *ret_part, struct error *err);
void transport_for_done(struct transport_for *part);
