/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The parts of an http or https URL that decide who may get a secret, and how a URL is
 * shown to people. Strict: what two parsers could read in two ways is refused.
 */

#include <stdbool.h>
#include <stddef.h>

#define URL_MAX 4096

struct url {
	bool https;
	char host[256]; /* lower case; an IPv6 address without its brackets */
	unsigned port;
};

/*
 * False for another scheme, a blank, a control byte, a backslash, a host that is not
 * plain ASCII, a port that is none.
 */
bool url_parse(const char *text, struct url *ret_url);

bool url_same_origin(const struct url *a, const struct url *b);

/*
 * Whether the host is written as loopback, link-local or unspecified address, as a number
 * that only looks like another one ("2130706433"), or as localhost.
 */
bool url_is_local(const struct url *url);

/*
 * Scheme, host and path of anything that may be a URL: user name, password, query and
 * fragment stay out, control bytes become '?'. What does not fit is cut off. Returns
 * `buffer`.
 */
char *url_redact(const char *text, char *buffer, size_t size);

/* Whether a password stands in it: "https://name:word@host/". */
bool url_has_password(const char *text);

/*
 * A path's bytes as they stand in a URL: everything but "/" and RFC 3986's unreserved
 * characters percent-encoded. False, and what fits, when it does not fit.
 */
bool url_encode_path(const char *path, char *buffer, size_t size);
