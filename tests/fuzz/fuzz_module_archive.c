/* SPDX-License-Identifier: Apache-2.0 */

/*
 * An archive of prebuilt modules with its manifest. The first byte says whether what
 * follows is the file as it stands, or the tar that is packed first: a fuzzer cannot
 * guess the check sums of gzip.
 */

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fuzz/fuzz.h"
#include "model/repository/prebuilt.h"
#include "worker/deflate.h"
#include "worker/module_archive.h"

__typeof__(fdatasync) __wrap_fdatasync;

int __wrap_fdatasync(int fd)
{
	(void)fd;
	return 0;
}

static void empty(int *fd)
{
	if (*fd < 0)
		*fd = memfd_create("file", MFD_CLOEXEC);
	fuzz_require(*fd >= 0 && ftruncate(*fd, 0) == 0 && lseek(*fd, 0, SEEK_SET) == 0);
}

static void pack(int fd, const uint8_t *data, size_t size)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup(deflate_done) struct deflate deflate = { .stream = NULL };
	struct error err = ERROR_INIT;

	fuzz_require(sink_file_begin(&file, fd, 0, &err) == 0 &&
		     deflate_begin(&deflate, &file.sink, &err) == 0 &&
		     sink_write(&deflate.sink, data, size, &err) == 0 &&
		     deflate_end(&deflate, &err) == 0 && sink_file_end(&file, &err) == 0);
}

/* What was taken of a manifest is taken again. */
static void check_manifest(const struct json *manifest)
{
	cleanup_json struct json *printed = NULL;
	struct prebuilt first, again;

	if (!prebuilt_from_json(manifest, &first))
		return;
	printed = prebuilt_manifest(&first);
	fuzz_require(prebuilt_from_json(printed, &again) &&
		     !prebuilt_differs(&first, &again));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static int input = -1,
		   outputs[BUILD_MODULES_MAX] = { -1, -1, -1, -1, -1, -1, -1, -1 };
	cleanup(module_archive_done) struct module_archive archive = { .count = 0 };
	cleanup_json struct json *answer = NULL;
	struct error err = ERROR_INIT;

	if (size < 1)
		return 0;
	empty(&input);
	for (size_t i = 0; i < ARRAY_SIZE(outputs); i++)
		empty(&outputs[i]);
	if (data[0] % 2)
		pack(input, data + 1, size - 1);
	else
		fuzz_require(file_write_all(input, data + 1, size - 1, &err) == 0);

	if (module_archive_read(input, outputs, ARRAY_SIZE(outputs), &archive, &err) <
	    0) {
		fuzz_require(err.code == ERROR_INTEGRITY);
		return 0;
	}
	for (size_t i = 0; i < archive.count; i++) {
		struct stat st;

		fuzz_require(fstat(outputs[i], &st) == 0 &&
			     (uint64_t)st.st_size == archive.files[i].size);
		fuzz_require(!strchr(archive.files[i].name, '/'));
	}
	fuzz_require(module_archive_answer(&archive, &answer, &err) == 0);
	check_manifest(archive.manifest);
	return 0;
}
