/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "model/repository/manifest.h"
#include "worker/bundle/bundle.h"
#include "worker/bundle/bundle_file.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t seen;

static int count(struct sink *sink, const void *data, size_t size, struct error *err)
{
	(void)sink;
	(void)data;
	(void)err;
	seen += size;
	return 0;
}

/* What comes out is what the directory promised, under a name that is safe. */
static void extract(const struct bundle *bundle, const struct bundle_member *member)
{
	struct sink sink = { .write = count };
	struct error err = ERROR_INIT;
	struct span name = member->name;

	if (span_ends(name, "/"))
		name.len--;
	if (!manifest_path_is_safe(name) || member->end < member->offset)
		abort();

	seen = 0;
	if (bundle_extract(bundle, member, 1 << 20, NULL, &sink, &err) == 0 &&
	    seen != member->size)
		abort();
	if (seen > member->size)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int fd = -1;
	struct bundle_file file;
	struct bundle bundle = BUNDLE_INIT;
	struct error err = ERROR_INIT;

	if (fd < 0)
		fd = memfd_create("zip", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;

	if (bundle_file_begin(&file, fd, &err) == 0 &&
	    bundle_open(&file.source, &bundle, &err) == 0) {
		for (size_t i = 0; i < bundle.count && i < 16; i++)
			extract(&bundle, &bundle.members[i]);
	}
	bundle_done(&bundle);
	return 0;
}
