/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "worker/inflate.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PROMISED 4096u

static uint64_t seen;

static int count(struct sink *sink, const void *data, size_t size, struct error *err)
{
	(void)sink;
	(void)data;
	(void)err;
	seen += size;
	if (seen > PROMISED)
		abort();
	return 0;
}

/* The first byte says where the data is cut in two and how it is packed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(inflate_done) struct inflate state = { .stream = NULL };
	struct sink sink = { .write = count };
	struct error err = ERROR_INIT;
	size_t cut;

	if (size == 0)
		return 0;
	cut = data[0] / 2 < size - 1 ? data[0] / 2 : size - 1;
	seen = 0;

	if (inflate_begin(&state, data[0] & 1, PROMISED, &sink, &err) < 0)
		return 0;
	if (sink_write(&state.sink, data + 1, cut, &err) == 0 &&
	    sink_write(&state.sink, data + 1 + cut, size - 1 - cut, &err) == 0 &&
	    inflate_end(&state, 0, &err) == 0 && seen != PROMISED)
		abort();
	return 0;
}
