/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The network, for a process that has none: asks the net worker for raw bytes and takes
 * them into a sink. What they are is judged here, never there: the net worker's word
 * counts for `verified` alone, which is what TLS says.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/json.h"
#include "worker/http/http_request.h"
#include "worker/sink.h"

struct remote;

/* `request` of the job, for its "questions" and "answers". */
must_check int remote_open(const struct json *request, struct remote **ret_remote,
			   struct error *err);
void remote_close(struct remote *remote);
static inline void remote_cleanup_(struct remote **remote)
{
	remote_close(*remote);
}
#define cleanup_remote cleanup(remote_cleanup_)

/*
 * One file or part of it, as http_get() in worker/http/http.h brings it, with its errors.
 * The sink sees sink_restart() before bytes that do not continue what it has, and never
 * more bytes than the request allows; an error of the sink ends the transfer, and the
 * next question may be asked.
 */
must_check int remote_get(struct remote *remote, const struct http_request *request,
			  struct sink *sink, struct http_answer *ret_answer,
			  struct error *err);

/* A small document, whole, NUL-terminated. */
struct remote_text {
	char *text;
	size_t size;
	bool verified; /* every hop https with a verified peer */
};

static inline void remote_text_done(struct remote_text *text)
{
	free(text->text);
	text->text = NULL;
}

/* A 404 is not tried again. */
must_check int remote_get_text(struct remote *remote, const char *url, size_t limit,
			       struct remote_text *ret_text, struct error *err);

/*
 * An array of the URLs by which the metadata service may be reached over IPv6, one for
 * each interface; none where the guest has an IPv4 address.
 */
must_check int remote_link_local(struct remote *remote, struct json **ret_urls,
				 struct error *err);
