/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the worker needs for HTTP: the `http` section as an object of the worker's
 * protocol, and the descriptors of the files it names. Made once by core/, used by every
 * step that sends the worker to the network.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/json.h"
#include "model/url.h"

#define TRANSPORT_FDS_MAX 8

struct transport {
	struct json *http; /* see worker/job/job.h */
	int fds[TRANSPORT_FDS_MAX];
	size_t fd_count; /* a step's own descriptors follow these */
	int index_key;   /* the number of driver.index_key's, 0: not set */
};

/*
 * Whether `hosts`, the "trusted_hosts" of worker/job/job.h, name that of the URL, and
 * where they name it with https only over https: who may have credentials.
 */
bool transport_trusts(const struct json *hosts, const struct url *url);
