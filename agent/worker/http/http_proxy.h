/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a hop goes through a proxy. It is decided here for each hop, and libcurl is
 * told so, because the address of a peer is only looked at where there is none: what
 * libcurl would do by itself must not be guessed.
 */

#include "model/url.h"
#include "worker/http/http_options.h"

/*
 * The proxy for this URL, or "": the one of the options, else of the environment, by the
 * names that libcurl has for them; neither for a host that no_proxy names. Never NULL.
 */
const char *http_proxy_of(const struct http_options *options, const struct url *url);

/*
 * Whether a list like no_proxy's names the host: "*", a name or the domain that it ends
 * with, an address, a range of them ("10.0.0.0/8").
 */
bool http_proxy_excepts(const char *list, const char *host);
