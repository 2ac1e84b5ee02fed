/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * vgpu-index.json of a repository, and what vouches for it.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"
#include "worker/digest.h"
#include "worker/remote.h"

struct index_fetched {
	struct json *json; /* the index as index_json() makes it; NULL: the repository has
			      none */
	bool verified;     /* every hop https with a verified peer */
	bool is_signed;    /* by a key of the request's "index_keys" */
	char key[DIGEST_TEXT_SIZE]; /* that key's SHA-256 */
};

struct index_place {
	struct remote *remote;
	const char *repository; /* a URL that ends in a slash */
	const char *sha256;     /* what the manifest says of the index, or "" */
	int keys;               /* descriptor of PEM public keys; -1: none */
};

/*
 * With keys an index that is missing, unsigned or signed by others is ERROR_INTEGRITY,
 * with the way out as its hint. Without, none is no error, and one that cannot be used is
 * appended to `warnings`. The caller frees `json`.
 */
must_check int index_fetch(const struct index_place *place, struct json *warnings,
			   struct index_fetched *ret_index, struct error *err);
