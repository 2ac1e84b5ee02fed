/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The part of steps/fetch/fetch.h that brings the member of a bundle from a server: it
 * passes through the worker (job "member") into the cache, and a note beside it says
 * which bundle it is of and what was known of that.
 */

#include "steps/fetch/fetch.h"

/*
 * What the cache has of this bundle, hashed again. 1: taken; 0: nothing that could be
 * trusted as much as what would be fetched; -1: interrupted.
 */
must_check int fetch_member_cached(const struct fetch_input *input,
				   const struct root *root, const struct channel *channel,
				   struct fetch_result *result, struct error *err);

/*
 * 1: it is there, under its final name; 0: this bundle must lie somewhere whole before it
 * can be unpacked; -1: failed, and only what can be resumed is left. The result has
 * bytes_transferred and `why` in both good cases.
 */
must_check int fetch_member(const struct fetch_input *input,
			    const struct transport *transport, const struct root *root,
			    const struct channel *channel, struct fetch_result *result,
			    struct error *err);
