/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/http.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/text.h"
#include "worker/http/http_hop.h"
#include "worker/http/http_proxy.h"
#include "worker/progress.h"
#include "worker/sandbox.h"

#define ERROR_BODY_MAX \
	65536 /* so much of an unwanted body is read to keep a connection */
#define STALL_BYTES_PER_S 1024L
#define BUFFER_MAX 262144L
#define QUICK_CONNECT_S 5L

struct http {
	CURL *curl;
	int stop_fd;
	struct curl_slist *headers;
	struct http_options options;
	char reason[CURL_ERROR_SIZE];
};

/* The state that libcurl's callbacks of one hop share. */
struct call {
	struct http_hop *hop;
	struct error err; /* set: the callback ended the transfer */
	bool head_done;
	bool local_refused;
	unsigned port_refused; /* 0: none was */
	const char *proxy;     /* "": none, and the peer's address counts */
	uint64_t dropped;      /* bytes of an unwanted body */
};

static size_t take_header(char *line, size_t size, size_t count, void *context)
{
	struct call *call = context;
	struct http_hop *hop = call->hop;

	/* After the body come trailers: nothing that they say counts. */
	if (call->head_done || !answer_line(&hop->answer, line, size * count))
		return size * count;

	call->head_done = true;
	hop->verdict = answer_judge(&hop->answer, &hop->wish);
	switch (hop->verdict) {
	case ANSWER_FROM_ZERO:
		hop->have = 0;
		if (sink_restart(hop->sink, &call->err) < 0)
			return 0;
		hop->verdict = ANSWER_TAKE;
		return size * count;
	case ANSWER_UNFIT:
	case ANSWER_WRONG_SIZE:
	case ANSWER_ENCODED:
		return 0; /* not a byte of it */
	case ANSWER_TAKE:
	case ANSWER_COMPLETE:
	case ANSWER_REDIRECT:
	case ANSWER_REFUSED:
	default:
		return size * count;
	}
}

/* Any other return value than the size ends the transfer. */
static size_t take_body(char *data, size_t size, size_t count, void *context)
{
	struct call *call = context;
	struct http_hop *hop = call->hop;

	size *= count;
	if (!call->head_done || hop->verdict != ANSWER_TAKE) {
		call->dropped += size;
		return call->dropped > ERROR_BODY_MAX ? 0 : size;
	}

	if (hop->have > hop->limit || size > hop->limit - hop->have) {
		(void)error_set(&call->err, ERROR_INTEGRITY,
				"the server sends more than the %ju bytes expected",
				(uintmax_t)hop->limit);
		return 0;
	}
	if (sink_write(hop->sink, data, size, &call->err) < 0)
		return 0;
	hop->have += size;
	return size;
}

/* Called about every second, whether bytes come or not; not 0 ends the transfer. */
static int tell_agent(void *context, curl_off_t download_total, curl_off_t downloaded,
		      curl_off_t upload_total, curl_off_t uploaded)
{
	const struct http *http = context;
	struct pollfd stop = { .fd = http->stop_fd, .events = POLLIN };

	(void)download_total;
	(void)downloaded;
	(void)upload_total;
	(void)uploaded;
	progress_beat();
	return poll(&stop, 1, 0) > 0;
}

static bool is_local_address(const struct sockaddr *address)
{
	char text[INET6_ADDRSTRLEN] = "";
	struct url url = { .https = false };
	const void *number =
		address->sa_family == AF_INET6
			? (const void *)&(
				  (const struct sockaddr_in6 *)(const void *)address)
				  ->sin6_addr
			: (const void *)&(
				  (const struct sockaddr_in *)(const void *)address)
				  ->sin_addr;

	if (!inet_ntop(address->sa_family, number, text, sizeof(text)))
		return true;
	(void)text_copy(url.host, sizeof(url.host), text);
	return url_is_local(&url);
}

static unsigned port_of(const struct sockaddr *address)
{
	return ntohs(
		address->sa_family == AF_INET6
			? ((const struct sockaddr_in6 *)(const void *)address)->sin6_port
			: ((const struct sockaddr_in *)(const void *)address)->sin_port);
}

/* The address counts, not the name: a name may lead anywhere. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
				 struct curl_sockaddr *address)
{
	struct call *call = context;
	bool local = !call->proxy[0] && is_local_address(&address->addr);

	(void)purpose;
	if (local && call->hop->no_local) {
		call->local_refused = true;
		return CURL_SOCKET_BAD;
	}
	if (!sandbox_may_connect(port_of(&address->addr))) {
		call->port_refused = port_of(&address->addr);
		return CURL_SOCKET_BAD;
	}
	call->hop->local_peer |= local;
	return socket(address->family, address->socktype | SOCK_CLOEXEC,
		      address->protocol);
}

/*
 * The last argument of curl_easy_setopt() has many types; setting the options that every
 * libcurl knows fails only when memory is out, which the transfer then meets as well.
 */
#define set(curl, option, value) ((void)curl_easy_setopt(curl, option, value))

static void set_protocols(CURL *curl, bool https_only)
{
#if LIBCURL_VERSION_NUM >= 0x075500
	set(curl, CURLOPT_PROTOCOLS_STR, https_only ? "https" : "http,https");
#else
	set(curl, CURLOPT_PROTOCOLS,
	    https_only ? CURLPROTO_HTTPS : CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static void set_limits(const struct http_options *options, const struct http_hop *hop,
		       CURL *curl)
{
	long slowest = STALL_BYTES_PER_S, buffer = BUFFER_MAX;

	if (options->rate_limit_kib > 0) {
		/* libcurl looks at the rate only after up to a hundred buffers. */
		if (options->rate_limit_kib * 1024 / 100 < buffer)
			buffer = options->rate_limit_kib * 1024 / 100;
		set(curl, CURLOPT_MAX_RECV_SPEED_LARGE,
		    (curl_off_t)options->rate_limit_kib * 1024);
		slowest = 256; /* far below the least rate that may be asked for */
	}
	set(curl, CURLOPT_BUFFERSIZE, buffer); /* libcurl raises it to its least */
	set(curl, CURLOPT_LOW_SPEED_LIMIT, slowest);
	set(curl, CURLOPT_LOW_SPEED_TIME, options->stall_timeout_s);
	set(curl, CURLOPT_CONNECTTIMEOUT, options->connect_timeout_s);
	if (hop->timeout_s > 0) {
		set(curl, CURLOPT_CONNECTTIMEOUT, QUICK_CONNECT_S);
		set(curl, CURLOPT_TIMEOUT_MS, (long)(hop->timeout_s * 1000) + 1);
	}
}

/* What only a trusted server may get. */
static int set_credentials(struct http *http, struct error *err)
{
	const struct http_options *options = &http->options;
	char path[HTTP_OPTIONS_PATH_SIZE]; /* libcurl keeps a copy */

	if (options->header && !http->headers) {
		http->headers = curl_slist_append(NULL, options->header);
		if (!http->headers)
			return error_set_errno(err, ENOMEM, "preparing the request");
	}
	set(http->curl, CURLOPT_HTTPHEADER, http->headers);

	if (options->netrc >= 0) {
		set(http->curl, CURLOPT_NETRC, (long)CURL_NETRC_OPTIONAL);
		set(http->curl, CURLOPT_NETRC_FILE,
		    http_options_path(options->netrc, path));
	}
	if (options->cert >= 0) {
		set(http->curl, CURLOPT_SSLCERT, http_options_path(options->cert, path));
		set(http->curl, CURLOPT_SSLKEY,
		    http_options_path(options->key >= 0 ? options->key : options->cert,
				      path));
	}
	return 0;
}

static void set_peer(const struct http_options *options, CURL *curl)
{
	char path[HTTP_OPTIONS_PATH_SIZE];

	set(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	if (options->ca >= 0) {
		set(curl, CURLOPT_CAINFO, http_options_path(options->ca, path));
		set(curl, CURLOPT_CAPATH, NULL); /* this authority and no other */
	}
}

/* Both always, and "" for none: else libcurl asks the environment. */
static void set_proxy(CURL *curl, const char *proxy)
{
	set(curl, CURLOPT_PROXY, proxy);
	set(curl, CURLOPT_NOPROXY, "");
}

/*
 * All options of one hop, set anew for each: what an earlier hop had, credentials above
 * all, must not stay.
 */
static int prepare(struct http *http, struct call *call, struct error *err)
{
	const struct http_hop *hop = call->hop;
	CURL *curl = http->curl;
	char range[48];

	curl_easy_reset(curl); /* connections and sessions stay */
	http->reason[0] = '\0';
	set(curl, CURLOPT_ERRORBUFFER, http->reason);
	set(curl, CURLOPT_URL, hop->url);
	set(curl, CURLOPT_NOSIGNAL, 1L);
	set(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	set(curl, CURLOPT_USERAGENT, "vgpu-guest-agent");
	set(curl, CURLOPT_HTTPAUTH, (long)CURLAUTH_BASIC); /* at once: Pulp never asks */
	set(curl, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
	set(curl, CURLOPT_TCP_KEEPALIVE, 1L);
	set(curl, CURLOPT_HEADERFUNCTION, take_header);
	set(curl, CURLOPT_HEADERDATA, call);
	set(curl, CURLOPT_WRITEFUNCTION, take_body);
	set(curl, CURLOPT_WRITEDATA, call);
	set(curl, CURLOPT_XFERINFOFUNCTION, tell_agent);
	set(curl, CURLOPT_XFERINFODATA, http);
	set(curl, CURLOPT_NOPROGRESS, 0L);
	set(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket);
	set(curl, CURLOPT_OPENSOCKETDATA, call);
	set_protocols(curl, hop->https_only);
	set_limits(&http->options, hop, curl);
	set_peer(&http->options, curl);
	set_proxy(curl, call->proxy);

	if (hop->wish.end) {
		(void)text_format(range, sizeof(range), "%ju-%ju",
				  (uintmax_t)hop->wish.offset,
				  (uintmax_t)hop->wish.end - 1);
		set(curl, CURLOPT_RANGE, range);
	} else if (hop->wish.offset) {
		(void)text_format(range, sizeof(range), "%ju-",
				  (uintmax_t)hop->wish.offset);
		set(curl, CURLOPT_RANGE, range);
	}
	return hop->credentials ? set_credentials(http, err) : 0;
}

static enum retry_class class_of(CURLcode code)
{
	switch ((int)code) { /* the others: a new libcurl has new ones */
	case CURLE_COULDNT_RESOLVE_PROXY:
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_CONNECT:
	case CURLE_PARTIAL_FILE:
	case CURLE_OPERATION_TIMEDOUT:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_GOT_NOTHING:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
	case CURLE_HTTP2:
	case CURLE_HTTP2_STREAM:
		return RETRY_SOON;
	default:
		return RETRY_NEVER;
	}
}

/* Not 0 where nobody was there to talk to: some callers take that for an answer. */
static int errnum_of(CURL *curl, CURLcode code)
{
	curl_off_t connected = 0;
	long number = 0;

	if (code == CURLE_COULDNT_RESOLVE_HOST)
		return EHOSTUNREACH;
	if (code == CURLE_COULDNT_CONNECT) {
		(void)curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &number);
		return number ? (int)number : ECONNREFUSED;
	}
	(void)curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME_T, &connected);
	return code == CURLE_OPERATION_TIMEDOUT && connected == 0 ? ETIMEDOUT : 0;
}

/* A TLS alert by which the server refuses us is no disturbance of the line. */
static bool is_client_refused(const char *reason)
{
	return strstr(reason, "alert") &&
	       (strstr(reason, "certificate") || strstr(reason, "unknown ca"));
}

static int fail_tls(struct http *http, struct http_hop *hop, CURLcode code,
		    struct error *err)
{
	const char *reason = http->reason;

	if (is_client_refused(reason)) {
		hop->class = RETRY_NEVER;
		return error_hint(err, "the server wants a certificate that it knows: "
				       "http.client_cert and http.client_key");
	}
	if (code == CURLE_PEER_FAILED_VERIFICATION)
		return error_hint(err, "is it the right server? A private authority's "
				       "certificate belongs into http.ca_file; and the "
				       "guest's clock must be right");
	if (code == CURLE_SSL_CACERT_BADFILE)
		return error_hint(err, "http.ca_file must hold PEM certificates");
	if (code == CURLE_SSL_CERTPROBLEM)
		return error_hint(err, "http.client_cert and http.client_key must be a "
				       "PEM certificate and its own key");
	return -1;
}

/*
 * libcurl's result in words for the operator, and whether trying again makes sense.
 */
static int fail(struct http *http, struct http_hop *hop, CURLcode code, struct error *err)
{
	long connect_status = 0;

	(void)curl_easy_getinfo(http->curl, CURLINFO_HTTP_CONNECTCODE, &connect_status);
	hop->class = class_of(code);
	if (connect_status >= 400) {
		hop->class = retry_class_of(connect_status);
		(void)error_set(err, ERROR_NETWORK, "the proxy answers HTTP %ld",
				connect_status);
		if (connect_status == 407)
			(void)error_hint(err, "put the proxy's user and password into "
					      "http.proxy: http://user:password@host/");
		return -1;
	}

	/* libcurl shows all of it, with user and password. */
	if (text_starts(http->reason, "Unsupported proxy")) {
		hop->class = RETRY_NEVER;
		(void)error_set(err, ERROR_USAGE, "the proxy's URL cannot be read");
		return error_hint(err, "http.proxy, or the environment's http_proxy, is "
				       "http://[user:password@]host[:port]");
	}

	text_sanitize(http->reason);
	(void)error_set(err, ERROR_NETWORK, "%s",
			http->reason[0] ? http->reason : curl_easy_strerror(code));
	err->errnum = errnum_of(http->curl, code);
	if (code == CURLE_COULDNT_RESOLVE_HOST)
		return error_hint(err, "check the host's name and the guest's DNS");
	return fail_tls(http, hop, code, err);
}

/* The transfer ended early because a callback wanted it so; 0: not for that. */
static int judge_callbacks(const struct call *call, struct error *err)
{
	if (call->err.code != ERROR_NONE) {
		*err = call->err;
		return -1;
	}
	if (call->local_refused) {
		(void)error_set(
			err, ERROR_NETWORK,
			"refused: a redirect to a loopback or link-local address");
		return error_hint(err, "no repository needs that; ask who runs it");
	}
	if (call->port_refused) {
		struct url url = { .port = 0 };

		progress_port(call->port_refused,
			      url_parse(call->hop->url, &url) ? url.host : "");
		return error_set(err, ERROR_NETWORK, "refused: a redirect to port %u",
				 call->port_refused);
	}

	return 0;
}

int http_hop(struct http *http, struct http_hop *hop, struct error *err)
{
	struct call call = { .hop = hop, .err = ERROR_INIT, .proxy = "" };
	struct url url;
	curl_off_t after = 0;
	char *location = NULL;
	CURLcode code;

	hop->answer = (struct answer){ .status = 0 };
	hop->verdict = ANSWER_REFUSED;
	hop->class = RETRY_NEVER;
	hop->location[0] = '\0';
	if (!url_parse(hop->url, &url))
		return error_set(err, ERROR_INTERNAL, "this is no http or https URL");
	call.proxy = http_proxy_of(&http->options, &url);
	if (prepare(http, &call, err) < 0)
		return -1;

	code = curl_easy_perform(http->curl);
	if (judge_callbacks(&call, err) < 0)
		return -1;
	(void)curl_easy_getinfo(http->curl, CURLINFO_RETRY_AFTER, &after);
	hop->retry_after_s = (double)after;
	if (code == CURLE_OK && !call.head_done)
		code = CURLE_GOT_NOTHING; /* HTTP/0.9, or an interim answer and no more */

	/* A head that decides needs no body, whatever became of it. */
	if (code != CURLE_OK && (!call.head_done || hop->verdict == ANSWER_TAKE))
		return fail(http, hop, code, err);
	if (hop->verdict == ANSWER_REDIRECT) {
		(void)curl_easy_getinfo(http->curl, CURLINFO_REDIRECT_URL, &location);
		if (!location ||
		    !text_copy(hop->location, sizeof(hop->location), location))
			hop->location[0] = '\0';
	}
	return 0;
}

const struct http_options *http_options_of(const struct http *http)
{
	return &http->options;
}

int http_hop_sleep(const struct http *http, double seconds, struct error *err)
{
	return clock_sleep(seconds, http->stop_fd, err);
}

int http_open(const struct json *options, int stop_fd, struct http **ret_http,
	      struct error *err)
{
	cleanup_http struct http *http = calloc(1, sizeof(*http));

	if (!http || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set_errno(err, ENOMEM, "preparing the network");
	if (http_options_read(options, &http->options, err) < 0)
		return -1;
	http->stop_fd = stop_fd;
	http->curl = curl_easy_init();
	if (!http->curl)
		return error_set_errno(err, ENOMEM, "preparing the network");

	*ret_http = take_ptr(http);
	return 0;
}

void http_close(struct http *http)
{
	if (!http)
		return;
	curl_easy_cleanup(http->curl);
	curl_slist_free_all(http->headers);
	http_options_done(&http->options);
	free(http);
}
