/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * HTTP as the worker needs it: GET into a sink, with the retries, limits and checks that
 * real Pulp servers and libcurl make necessary. The only room that includes libcurl.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/json.h"
#include "worker/sink.h"

struct http; /* one connection cache, used for every request of a job */

/*
 * `options`: the "http" object of worker/job/job.h, which outlives the result; NULL: no
 * proxy, no credentials, defaults.
 */
must_check int http_open(const struct json *options, struct http **ret_http,
			 struct error *err);
void http_close(struct http *http);
static inline void http_cleanup_(struct http **http)
{
	http_close(*http);
}
#define cleanup_http cleanup(http_cleanup_)

struct http_request {
	const char *url;
	uint64_t offset; /* the sink holds so much already: ask for the rest; 0: whole */
	uint64_t total;  /* the whole size when known, else 0; checked before the body */
	uint64_t limit;  /* the request fails when the file has more bytes, those before
			    `offset` too */
	uint64_t first, end; /* only this part of the file, `end` not included, and
				neither offset nor limit; end 0: the whole */
	bool resume;   /* go on after a cut: the caller proves the whole by its SHA-256 */
	bool optional; /* a 404 is an answer, not tried again */
	bool denied_is_absent; /* a 403 too: what some stores say of what they do not
				  have; needs `optional` */
	bool quick; /* metadata: short intervals, no retries beyond `deadline_s`, and
		       nobody listening is an answer, with an errnum */
	unsigned deadline_s; /* for quick requests; 0: 30 */
};

struct http_answer {
	bool verified;  /* every hop https with a verified peer */
	uint64_t total; /* of the file, as a part's Content-Range says; 0: does not */
};

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

/* A small document, whole, NUL-terminated. */
struct http_text {
	char *text;
	size_t size;
	bool verified; /* every hop https with a verified peer */
};

static inline void http_text_done(struct http_text *text)
{
	free(text->text);
	text->text = NULL;
}

/* A 404 is not tried again. */
must_check int http_get_text(struct http *http, const char *url, size_t limit,
			     struct http_text *ret_text, struct error *err);
