/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "worker/bundle/bundle_file.h"
#include "worker/bundle/member_take.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A note that counts can be written again and reads the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct member_note note, again;
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("note", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, 0) < 0 || pwrite(fd, data, size, 0) != (ssize_t)size)
		return 0;
	if (!member_note_read(fd, &note))
		return 0;

	if (note.point.in > note.compressed_size || note.point.bits > 7 ||
	    note.header < BUNDLE_LOCAL_SIZE)
		abort();
	if (ftruncate(fd, 0) < 0)
		return 0;
	member_note_write(fd, &note);
	if (!member_note_read(fd, &again) || again.point.out != note.point.out ||
	    again.header != note.header)
		abort();
	return 0;
}
