/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP as the workers need it: GET into a sink, with the retries, limits and checks that
 * real Pulp servers and libcurl make necessary. The only room that includes libcurl.
 */

#include "base/error.h"
#include "base/json.h"
#include "worker/http/http_request.h"
#include "worker/sink.h"

struct http; /* one connection cache, used for every request of a job */

/*
 * `options`: the "http" object of worker/job/job.h, which outlives the result; NULL: no
 * proxy, no credentials, defaults. Once `stop_fd` can be read or its other end is closed
 * (-1: never), what is under way fails.
 */
must_check int http_open(const struct json *options, int stop_fd, struct http **ret_http,
			 struct error *err);
void http_close(struct http *http);
static inline void http_cleanup_(struct http **http)
{
	http_close(*http);
}
#define cleanup_http cleanup(http_cleanup_)

/*
 * One GET with its redirects and retries. A 404 is ERROR_NETWORK with errnum ENOENT after
 * the few slow tries that such an answer deserves on Pulp; certificate trouble and
 * refusals are not tried again. ERROR_INTEGRITY where the bytes cannot be the promised
 * ones: more than `limit`, another size than `total`, encoded. A part is taken from a 206
 * that is exactly it, of a file of `total` bytes; a server that has no such answer is
 * ERROR_NETWORK with errnum ERANGE. The sink sees sink_restart() before bytes that do
 * not continue what it has. Error texts begin with the URL, redacted.
 */
must_check int http_get(struct http *http, const struct http_request *request,
			struct sink *sink, struct http_answer *ret_answer,
			struct error *err);
