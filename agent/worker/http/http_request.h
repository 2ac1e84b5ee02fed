/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A question for a file on a web server, and its answer: what the fetch worker asks, and
 * the net worker does.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/json.h"

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

/* As JSON and back; the URL of what was read is borrowed, and "" where there is none. */
struct json *http_request_json(const struct http_request *request);
struct http_request http_request_read(const struct json *json);
struct json *http_request_answer_json(const struct http_answer *answer);
struct http_answer http_request_answer_read(const struct json *json);
