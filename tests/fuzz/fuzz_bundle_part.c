/* SPDX-License-Identifier: Apache-2.0 */

/* An index and a server that know nothing of each other. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/bundle/bundle_part.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define HEAD 8
#define LIMIT 4096u

static uint64_t seen;

static int count(struct sink *sink, const void *data, size_t size, struct error *err)
{
	(void)sink;
	(void)data;
	(void)err;
	seen += size;
	return 0;
}

/* The first bytes are the index: sizes, method, and how long the name is. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(bundle_part_done) struct bundle_part part = { .header = 0 };
	struct sink sink = { .write = count };
	struct error err = ERROR_INIT;
	struct bundle_member member;
	uint64_t first, end;

	if (size < HEAD + 30u)
		return 0;
	member = (struct bundle_member){
		.name = { (const char *)data + HEAD + 30, data[0] % (size - HEAD - 29) },
		.end = data[1] & 1 ? size - HEAD : UINT64_MAX,
		.compressed_size = data[2] | (uint64_t)data[3] << (data[1] & 2 ? 50 : 8),
		.size = (data[4] | (uint64_t)data[5] << 8) % LIMIT,
		.method = data[6],
	};
	data += HEAD;
	size -= HEAD;
	seen = 0;
	if (bundle_part_begin(&part, &member, true, &sink, &err) < 0)
		return 0;

	while (bundle_part_wants(&part, &first, &end)) {
		if (first >= end || end > member.end)
			abort();
		if (end > size ||
		    sink_write(&part.sink, data + first, (size_t)(end - first), &err) < 0)
			break;
	}
	if (bundle_part_end(&part, &err) == 0 && seen != member.size)
		abort();
	if (seen > member.size)
		abort();
	return 0;
}
