/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A zip archive read once, from its first byte to its last, as a sink: the member that a
 * guest needs is unpacked as it comes by. It is found by the local headers, which nobody
 * vouches for; what was taken counts only when the central directory, which comes last,
 * says the same of it.
 */

#include <errno.h>
#include <stdint.h>

#include "base/error.h"
#include "model/driver/member.h"
#include "worker/bundle/bundle.h"
#include "worker/inflate.h"
#include "worker/sink.h"

/*
 * The errnum of the ERROR_INTEGRITY for an archive that may be good, but cannot be read
 * so: it must lie somewhere whole (worker/bundle/bundle.h).
 */
#define BUNDLE_STREAM_NOT EOPNOTSUPP

struct bundle_stream;

/*
 * `wish` and `out` outlive it; `max_size` limits the member. The sink of the result may
 * be restarted, and then restarts `out`.
 */
must_check int bundle_stream_begin(const struct member_wish *wish, uint64_t max_size,
				   struct sink *out, struct bundle_stream **ret_stream,
				   struct error *err);
struct sink *bundle_stream_sink(struct bundle_stream *stream);
void bundle_stream_free(struct bundle_stream *stream);
static inline void bundle_stream_cleanup_(struct bundle_stream **stream)
{
	bundle_stream_free(*stream);
}
#define cleanup_bundle_stream cleanup(bundle_stream_cleanup_)

/*
 * After the last byte: which member went to `out`, whole, with the size and the CRC-32
 * that the directory has.
 */
must_check int bundle_stream_end(struct bundle_stream *stream, struct member *ret_member,
				 struct error *err);
