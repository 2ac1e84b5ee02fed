/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One member of an archive as a sink: takes the archive's bytes from the member's local
 * header on, and hands its content on.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "worker/bundle/bundle.h"
#include "worker/inflate.h"
#include "worker/sink.h"

struct bundle_part {
	struct sink sink;
	struct bundle_member member;
	bool adopt; /* an index tells neither flags nor CRC-32: the local header does */
	struct inflate inflate;
	uint64_t position; /* bytes since the member's offset that came */
	size_t header;     /* size of the local header; 0: it is not yet whole */
	unsigned char head[BUNDLE_LOCAL_SIZE + BUNDLE_NAME_MAX];
};

/* From a directory that was read, or, with `adopt`, as an index says; `next` gets it. */
must_check int bundle_part_begin(struct bundle_part *part,
				 const struct bundle_member *member, bool adopt,
				 struct sink *next, struct error *err);
void bundle_part_done(struct bundle_part *part);

/*
 * Goes on after a begin where an earlier process was: `header` is the local header's
 * size that it found, the rest as for inflate_resume().
 */
must_check int bundle_part_resume(struct bundle_part *part, size_t header,
				  const struct inflate_point *point, struct span window,
				  struct error *err);

/*
 * The bytes of the archive that are wanted next, up to `ret_end`; false when all came.
 * As long as the local header is not known this is an estimate: ask again.
 */
bool bundle_part_wants(const struct bundle_part *part, uint64_t *ret_first,
		       uint64_t *ret_end);

/* After the last byte: size and CRC-32 are as promised. */
must_check int bundle_part_end(struct bundle_part *part, struct error *err);
