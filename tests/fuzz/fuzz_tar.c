/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "model/repository/manifest.h"
#include "worker/tar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct counting {
	struct tar_taker taker;
	struct sink sink;
	uint64_t promised, seen;
	bool open;
};

static int count(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct counting *counting = (struct counting *)(void *)sink->next;

	(void)data;
	(void)err;
	counting->seen += size;
	if (!counting->open || counting->seen > counting->promised)
		abort();
	return 0;
}

static int begin(struct tar_taker *taker, const struct tar_member *member,
		 struct sink **ret_sink, struct error *err)
{
	struct counting *counting = (struct counting *)(void *)taker;

	(void)err;
	if (counting->open || !manifest_path_is_safe(span_of(member->name)))
		abort();
	counting->open = true;
	counting->seen = 0;
	counting->promised = member->size;
	counting->sink =
		(struct sink){ .write = count, .next = (struct sink *)(void *)counting };
	*ret_sink = &counting->sink;
	return 0;
}

static int end(struct tar_taker *taker, struct error *err)
{
	struct counting *counting = (struct counting *)(void *)taker;

	(void)err;
	if (!counting->open || counting->seen != counting->promised)
		abort();
	counting->open = false;
	return 0;
}

/* The first byte says where the archive is cut in two. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct counting counting = { .taker = { .begin = begin, .end = end } };
	struct error err = ERROR_INIT;
	struct tar tar;
	size_t cut;

	if (size == 0)
		return 0;
	cut = (size_t)data[0] * 8 < size - 1 ? (size_t)data[0] * 8 : size - 1;
	tar_begin(&tar, &counting.taker);
	if (sink_write(&tar.sink, data + 1, cut, &err) == 0 &&
	    sink_write(&tar.sink, data + 1 + cut, size - 1 - cut, &err) == 0 &&
	    tar_end(&tar, &err) == 0 && counting.open)
		abort();
	return 0;
}
