/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The "http" object of worker/job/job.h as values, and who may get the secrets in it.
 */

#include <stdbool.h>

#include "base/error.h"
#include "base/json.h"

struct http_options {
	const char *proxy;   /* NULL: none at all; "": what the environment says */
	long rate_limit_kib; /* 0: none */
	unsigned retries, retry_base_ms;
	long connect_timeout_s, stall_timeout_s;
	int ca, cert, key, netrc; /* -1: none */
	char *header;             /* "Name: value"; NULL: none */
	const struct json *trusted_hosts;
};

/* `json` may be NULL, and else outlives the options. ERROR_USAGE for a bad header file.
 */
must_check int http_options_read(const struct json *json,
				 struct http_options *ret_options, struct error *err);
void http_options_done(struct http_options *options);

/* "/proc/self/fd/N": libcurl wants names. */
#define HTTP_OPTIONS_PATH_SIZE 32
const char *http_options_path(int fd, char buffer[static HTTP_OPTIONS_PATH_SIZE]);
