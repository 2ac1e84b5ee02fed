/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One question to one server and its answer, between libcurl (http.c) and the rules of
 * redirects and retries (http_get.c).
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/url.h"
#include "worker/http/answer.h"
#include "worker/http/http.h"
#include "worker/http/http_options.h"
#include "worker/http/retry.h"
#include "worker/sink.h"

struct http_hop {
	/* the question */
	const char *url;
	bool https_only;  /* an earlier hop was https: no way back */
	bool credentials; /* the header, netrc and the client certificate go along */
	bool no_local;    /* a redirect's target: no loopback or link-local peer */
	struct answer_wish wish;
	uint64_t limit;
	double timeout_s; /* for the whole hop; 0: none */
	struct sink *sink;

	/* the answer */
	struct answer answer;
	enum answer_verdict verdict;
	uint64_t have; /* bytes of the whole that the sink holds; in: before */
	double retry_after_s;
	bool local_peer;
	char location[URL_MAX]; /* absolute; "" where there is none */
	enum retry_class class; /* of an error */
};

/*
 * -1, with `class`, when there was no whole answer. 0 for any whole answer: the verdict
 * says whether its body went into the sink.
 */
must_check int http_hop(struct http *http, struct http_hop *hop, struct error *err);

const struct http_options *http_options_of(const struct http *http);

/* clock_sleep() that the end of `stop_fd` of http_open() ends. */
must_check int http_hop_sleep(const struct http *http, double seconds, struct error *err);
