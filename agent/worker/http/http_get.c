/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/transport.h"
#include "worker/http/http.h"
#include "worker/http/http_hop.h"
#include "worker/progress.h"

#define REDIRECTS_MAX 5
#define PROGRESS_BYTES 65536 /* less than this between two cuts is no progress */
#define QUICK_BASE_MS 500
#define QUICK_DEADLINE_S 30
#define BEAT_S 1.0

/* A request with all its attempts: retries, redirects and resumed parts. */
struct transfer {
	struct http *http;
	const struct http_request *request;
	struct sink *sink;
	struct url first;
	struct retry retry;
	double deadline; /* of the monotonic clock; 0: none */
	uint64_t have;   /* bytes that the sink holds */
	uint64_t high;   /* the most it ever held when progress was noted */
	bool no_range;   /* the server gave an unfit answer to one */
	unsigned attempts;
	struct http_answer answer;
};

/* Where the next hop leads, and what was learned on the way. */
struct path {
	char url[URL_MAX];
	struct url here;
	unsigned redirects;
	bool left;      /* the first origin: secrets stay behind */
	bool was_https; /* some hop was */
	bool all_https;
	bool first_local; /* the first server is on this machine or link itself */
};

static int path_begin(struct path *path, const char *url, struct error *err)
{
	*path = (struct path){ .all_https = true };
	if (!text_copy(path->url, sizeof(path->url), url) || !url_parse(url, &path->here))
		return error_set(err, ERROR_USAGE, "this is no http or https URL");

	path->first_local = url_is_local(&path->here);
	return 0;
}

/*
 * Takes a redirect or refuses it: too many, another scheme, from https to http, or to an
 * address of this machine that the first URL did not have.
 */
static int path_follow(struct path *path, const char *location, struct error *err)
{
	struct url next;
	char shown[200];

	if (path->redirects++ >= REDIRECTS_MAX)
		return error_set(err, ERROR_NETWORK, "more than %d redirects",
				 REDIRECTS_MAX);
	(void)url_redact(location, shown, sizeof(shown));
	if (!url_parse(location, &next) ||
	    !text_copy(path->url, sizeof(path->url), location))
		return error_set(err, ERROR_NETWORK,
				 "a redirect to what is no http or https URL: %s", shown);
	if (path->was_https && !next.https) {
		(void)error_set(err, ERROR_NETWORK,
				"refused: a redirect from https to %s", shown);
		return error_hint(err, "who runs the server must correct the redirect");
	}
	if (!path->first_local && url_is_local(&next)) {
		(void)error_set(err, ERROR_NETWORK, "refused: a redirect to %s", shown);
		return error_hint(err, "a redirect to a loopback or link-local address "
				       "is never followed");
	}

	path->left |= !url_same_origin(&path->here, &next);
	path->here = next;
	return 0;
}

static struct http_hop next_hop(const struct transfer *transfer, const struct path *path)
{
	const struct http_options *options = http_options_of(transfer->http);
	double left = transfer->deadline - clock_monotonic();

	return (struct http_hop){
		.url = path->url,
		.https_only = path->was_https,
		.credentials = !path->left &&
			       transport_trusts(options->trusted_hosts, &path->here),
		.no_local = path->redirects > 0 && !path->first_local,
		.wish = { .offset = transfer->no_range ? 0 : transfer->have,
			  .end = transfer->request->end,
			  .total = transfer->request->total },
		.limit = transfer->request->end ? transfer->request->end
						: transfer->request->limit,
		.timeout_s = transfer->deadline > 0 ? (left > 0.1 ? left : 0.1) : 0,
		.sink = transfer->sink,
		.have = transfer->have,
	};
}

/* From the request's own URL to an answer that is no redirect. */
static int follow(struct transfer *transfer, struct http_hop *hop, struct error *err)
{
	struct path path;

	hop->class = RETRY_NEVER;
	if (path_begin(&path, transfer->request->url, err) < 0)
		return -1;

	for (;;) {
		int result;

		path.was_https |= path.here.https;
		path.all_https &= path.here.https;
		*hop = next_hop(transfer, &path);
		result = http_hop(transfer->http, hop, err);
		transfer->have = hop->have;
		if (result < 0 && path.redirects > 0)
			return error_prefix(err, "redirected to %s", path.here.host);
		if (result < 0)
			return -1;
		if (hop->verdict != ANSWER_REDIRECT)
			break;

		path.first_local |= path.redirects == 0 && hop->local_peer;
		hop->class = RETRY_NEVER;
		if (path_follow(&path, hop->location, err) < 0)
			return -1;
	}

	transfer->answer.verified = path.all_https;
	hop->url = NULL; /* it was the path's */
	return 0;
}

/* An HTTP status that is no success, with what the operator can do about it. */
static int refuse_status(const struct transfer *transfer, struct http_hop *hop,
			 struct error *err)
{
	const struct answer *answer = &hop->answer;

	hop->class = retry_class_of(answer->status);
	(void)error_set(err, ERROR_NETWORK, "HTTP %ld%s%s", answer->status,
			answer->reason[0] ? " " : "", answer->reason);
	switch (answer->status) {
	case 401:
		return error_hint(err, "user and password belong into http.netrc_file");
	case 403:
		if (transfer->request->denied_is_absent) {
			err->errnum = ENOENT;
			hop->class = RETRY_NEVER;
		}
		return error_hint(err, "a guard of the repository refuses: it wants "
				       "http.header_file, http.netrc_file or "
				       "http.client_cert, which are sent only to hosts "
				       "that the configuration files name");
	case 404:
		err->errnum = ENOENT;
		if (transfer->request->optional)
			hop->class = RETRY_NEVER;
		return error_hint(err, "is the path right, and has the Pulp distribution "
				       "a publication?");
	case 407:
		return error_hint(err, "put the proxy's user and password into "
				       "http.proxy: http://user:password@host/");
	default:
		return -1;
	}
}

static int refuse_size(const struct http_hop *hop, struct error *err)
{
	if (hop->answer.contradicts)
		return error_set(err, ERROR_INTEGRITY,
				 "the server gives two different sizes");
	return error_set(err, ERROR_INTEGRITY,
			 "the server has %ju bytes, expected were %ju",
			 (uintmax_t)hop->answer.length, (uintmax_t)hop->wish.total);
}

/* What the sink holds cannot be continued: it begins anew. */
static int start_over(struct transfer *transfer, struct error *err)
{
	if (transfer->have == transfer->request->first)
		return 0;
	transfer->have = transfer->request->first;
	return sink_restart(transfer->sink, err);
}

/* No second question brings a part that the server does not give. */
static int refuse_part(struct http_hop *hop, struct error *err)
{
	hop->class = RETRY_NEVER;
	(void)error_set(err, ERROR_NETWORK,
			"the server does not give the part that was asked for");
	err->errnum = ERANGE;
	return -1;
}

/* 0: all is there; 1: ask again at once; -1: failed, by `hop->class`. */
static int judge_response(struct transfer *transfer, struct http_hop *hop,
			  struct error *err)
{
	const struct http_request *request = transfer->request;
	uint64_t end = request->end ? request->end : request->total;

	switch (hop->verdict) {
	case ANSWER_TAKE:
		transfer->answer.total = hop->answer.total;
		if (!end || transfer->have == end)
			return 0;
		hop->class = RETRY_SOON;
		return error_set(err, ERROR_NETWORK,
				 "the answer ended after %ju of %ju bytes",
				 (uintmax_t)(transfer->have - request->first),
				 (uintmax_t)(end - request->first));
	case ANSWER_COMPLETE:
		return 0;
	case ANSWER_UNFIT:
		if (request->end)
			return refuse_part(hop, err);
		transfer->no_range = true;
		return start_over(transfer, err) < 0 ? -1 : 1;
	case ANSWER_WRONG_SIZE:
		return refuse_size(hop, err);
	case ANSWER_ENCODED:
		if (request->end)
			return refuse_part(hop, err);
		(void)error_set(err, ERROR_INTEGRITY,
				"the server sends the file compressed");
		return error_hint(err, "switch compression off for this path on the "
				       "server or the proxy in front of it");
	case ANSWER_REFUSED:
	case ANSWER_REDIRECT:
	case ANSWER_FROM_ZERO:
	default:
		return refuse_status(transfer, hop, err);
	}
}

static double chance(void)
{
	uint32_t number = 0;

	if (getrandom(&number, sizeof(number), 0) != (ssize_t)sizeof(number))
		return 0.5;
	return number / (double)UINT32_MAX;
}

/* Sleeps, or says no: then the last error stands, which is why the next try comes. */
static bool wait_for_next(struct transfer *transfer, const struct http_hop *hop,
			  const char *why)
{
	struct error err = ERROR_INIT;
	double seconds, until, left;

	if (transfer->have >= transfer->high + PROGRESS_BYTES) {
		transfer->high = transfer->have;
		retry_progress(&transfer->retry);
	}
	if (!retry_next(&transfer->retry, hop->class, hop->retry_after_s, chance(),
			&seconds))
		return false;

	until = clock_monotonic() + seconds;
	if (transfer->deadline > 0 && until >= transfer->deadline)
		return false;
	progress_wait(seconds, why);
	while ((left = until - clock_monotonic()) > 0) {
		progress_beat();
		if (http_hop_sleep(transfer->http, left < BEAT_S ? left : BEAT_S, &err) <
		    0)
			return false;
	}
	return true;
}

static int attempt(struct transfer *transfer, struct http_hop *hop, struct error *err)
{
	int result;

	do {
		transfer->attempts++;
		if (follow(transfer, hop, err) < 0)
			return -1;
		result = judge_response(transfer, hop, err);
	} while (result > 0); /* at most twice: without a range nothing is unfit */

	return result;
}

static void say_tries(const struct transfer *transfer, struct error *err)
{
	size_t used = strlen(err->text);

	if (transfer->attempts > 1)
		(void)text_format(err->text + used, sizeof(err->text) - used,
				  " (%u tries)", transfer->attempts);
}

int http_get(struct http *http, const struct http_request *request, struct sink *sink,
	     struct http_answer *ret_answer, struct error *err)
{
	const struct http_options *options = http_options_of(http);
	unsigned deadline_s = request->deadline_s ? request->deadline_s
						  : QUICK_DEADLINE_S;
	struct transfer transfer = {
		.http = http,
		.request = request,
		.sink = sink,
		.have = request->end ? request->first : request->offset,
		.high = request->end ? request->first : request->offset,
		.retry = { .limit = options->retries, .base_ms = options->retry_base_ms },
	};
	struct http_hop hop = { .class = RETRY_NEVER };
	char shown[256];

	if (request->quick) {
		transfer.deadline = clock_monotonic() + deadline_s;
		transfer.retry =
			(struct retry){ .limit = UINT32_MAX, .base_ms = QUICK_BASE_MS };
	}

	while (attempt(&transfer, &hop, err) < 0) {
		if (request->quick && err->errnum)
			hop.class = RETRY_NEVER;
		if (!wait_for_next(&transfer, &hop, err->text)) {
			say_tries(&transfer, err);
			return error_prefix(
				err, "%s",
				url_redact(request->url, shown, sizeof(shown)));
		}
		if ((!request->resume || transfer.no_range) &&
		    start_over(&transfer, err) < 0)
			return -1;
	}

	*ret_answer = transfer.answer;
	return 0;
}
