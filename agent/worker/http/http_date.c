/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/http_date.h"

#include <curl/curl.h>
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/span.h"
#include "base/text.h"

static void curl_done(CURL **curl)
{
	curl_easy_cleanup(*curl);
}

static size_t take_header(const char *line, size_t size, size_t count, void *context)
{
	struct http_date *date = context;
	struct span rest = span_trim((struct span){ line, size * count });
	char text[64];
	time_t when;

	if (rest.len < 5 || strncasecmp(rest.at, "date:", 5) != 0)
		return size * count;
	rest.at += 5;
	rest.len -= 5;
	when = span_copy(span_trim(rest), text, sizeof(text)) ? curl_getdate(text, NULL)
							      : -1;
	if (when > 0) {
		date->answered = true;
		date->offset_s = clock_now() - (int64_t)when;
	}
	return size * count;
}

/* Not a byte of the body: that ends the transfer. */
static size_t take_body(const char *data, size_t size, size_t count, void *context)
{
	(void)data;
	(void)size;
	(void)count;
	(void)context;
	return 0;
}

#define set(curl, option, value) ((void)curl_easy_setopt(curl, option, value))

static void prepare(CURL *curl, int timeout_s, struct http_date *date, char *reason)
{
	set(curl, CURLOPT_ERRORBUFFER, reason);
	set(curl, CURLOPT_NOSIGNAL, 1L);
	set(curl, CURLOPT_PROXY, "");
	set(curl, CURLOPT_TIMEOUT, (long)timeout_s);
	set(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	set(curl, CURLOPT_USERAGENT, "vgpu-guest-agent");
	set(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2);
	set(curl, CURLOPT_SSL_VERIFYPEER, 0L);
	set(curl, CURLOPT_SSL_VERIFYHOST, 0L);
	set(curl, CURLOPT_HEADERFUNCTION, take_header);
	set(curl, CURLOPT_HEADERDATA, date);
	set(curl, CURLOPT_WRITEFUNCTION, take_body);
#if LIBCURL_VERSION_NUM >= 0x075500
	set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
#else
	set(curl, CURLOPT_PROTOCOLS, CURLPROTO_HTTP | CURLPROTO_HTTPS);
#endif
}

static bool is_tls_up(CURL *curl)
{
	curl_off_t microseconds = 0;

	return curl_easy_getinfo(curl, CURLINFO_APPCONNECT_TIME_T, &microseconds) ==
		       CURLE_OK &&
	       microseconds > 0;
}

int http_date_get(const char *host, int port, bool tls, int timeout_s,
		  struct http_date *ret_date, struct error *err)
{
	cleanup(curl_done) CURL *curl = NULL;
	struct http_date date = { .answered = false };
	char reason[CURL_ERROR_SIZE] = "", url[320];
	bool bare_v6 = strchr(host, ':') && host[0] != '[';
	CURLcode code;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return error_set_errno(err, ENOMEM, "preparing the network");
	curl = curl_easy_init();
	if (!curl)
		return error_set_errno(err, ENOMEM, "preparing the network");
	if (!text_format(url, sizeof(url), "%s://%s%s%s:%d/", tls ? "https" : "http",
			 bare_v6 ? "[" : "", host, bare_v6 ? "]" : "", port))
		return error_set(err, ERROR_NETWORK, "the server's name is too long");

	prepare(curl, timeout_s, &date, reason);
	set(curl, CURLOPT_URL, url);
	code = curl_easy_perform(curl);
	if (code != CURLE_OK && code != CURLE_WRITE_ERROR && !date.answered) {
		date.tls_failed = tls && !is_tls_up(curl);
		text_sanitize(reason);
		*ret_date = date;
		return error_set(err, ERROR_NETWORK, "%s",
				 reason[0] ? reason : curl_easy_strerror(code));
	}

	*ret_date = date;
	return 0;
}
