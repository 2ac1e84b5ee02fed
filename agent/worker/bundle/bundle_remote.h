/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A zip archive on a web server as a source: what its directory needs is asked for by
 * ranges, most often with one request.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "worker/bundle/bundle.h"
#include "worker/remote.h"
#include "worker/sink.h"

struct bundle_remote {
	struct bundle_source source;
	struct remote *from;
	const char *url;
	struct sink_memory window; /* bytes of the archive from `start` on */
	uint64_t start;
	uint64_t received;
	bool unverified; /* some answer did not come over https from a verified peer */
};

/* `size` of the archive, 0: the server is asked. Errors as remote_get()'s of a part. */
must_check int bundle_remote_begin(struct bundle_remote *remote, struct remote *from,
				   const char *url, uint64_t size, struct error *err);
void bundle_remote_done(struct bundle_remote *remote);
