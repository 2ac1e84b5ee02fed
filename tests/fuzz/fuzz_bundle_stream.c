/* SPDX-License-Identifier: Apache-2.0 */

/* What is taken of an archive as it passes by is what its directory leads to. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "worker/bundle/bundle_choice.h"
#include "worker/bundle/bundle_file.h"
#include "worker/bundle/bundle_stream.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define LIMIT (1u << 20)

static const struct member_wish wish = { .bundle = "a.zip",
					 .arch = "x86_64",
					 .kinds = { PACKAGE_RUN, PACKAGE_DEB } };

/* The same archive as a file, read by its directory. */
static void compare(const uint8_t *data, size_t size, const struct sink_memory *taken)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	const struct bundle_member *found;
	struct error err = ERROR_INIT;
	struct bundle_file file;
	struct member member;
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("zip", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return;
	sink_memory_begin(&memory, LIMIT);
	if (bundle_file_begin(&file, fd, &err) < 0 ||
	    bundle_open(&file.source, &bundle, &err) < 0 ||
	    bundle_choice_make(&bundle, &wish, &member, &found, &err) < 0 ||
	    bundle_extract(&bundle, found, LIMIT, NULL, &memory.sink, &err) < 0)
		abort();
	if (memory.size != taken->size ||
	    (taken->size > 0 && memcmp(memory.data, taken->data, taken->size) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup_bundle_stream struct bundle_stream *stream = NULL;
	struct error err = ERROR_INIT;
	struct member member;
	struct sink *sink;
	size_t cut;

	if (size == 0)
		return 0;
	sink_memory_begin(&memory, LIMIT);
	if (bundle_stream_begin(&wish, LIMIT, &memory.sink, &stream, &err) < 0)
		return 0;

	/* The first byte says where the rest is cut in two. */
	cut = (size - 1) * data[0] / 256;
	sink = bundle_stream_sink(stream);
	if (sink_write(sink, data + 1, cut, &err) == 0 &&
	    sink_write(sink, data + 1 + cut, size - 1 - cut, &err) == 0 &&
	    bundle_stream_end(stream, &member, &err) == 0)
		compare(data + 1, size - 1, &memory);
	if (memory.size > LIMIT)
		abort();
	return 0;
}
