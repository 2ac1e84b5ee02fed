/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the metadata service is in a network of IPv6 alone: a link-local address, which
 * means another one on each interface.
 */

#include "base/error.h"
#include "base/json.h"

#define LINK_LOCAL_BEGIN "http://[fe80::a9fe:a9fe%25" /* then interface and "]" */

/*
 * {"urls":[s,...]}: one for each interface that is up and no loopback; none where the
 * guest has an IPv4 address, by which the service would have answered.
 */
must_check int link_local_urls(struct json **ret_result, struct error *err);
