/* SPDX-License-Identifier: Apache-2.0 */
#include "support/zip.h"

#include <string.h>
#include <sys/mman.h>

#include "support/cmocka.h"
#include "worker/bundle/bundle.h"
#include "worker/bundle/bundle_file.h"

void zip_put(struct zip *zip, uint64_t value, int bytes)
{
	for (; bytes > 0; bytes--, value >>= 8)
		zip->bytes[zip->size++] = (unsigned char)value;
}

void zip_put_text(struct zip *zip, const void *text, size_t size)
{
	memcpy(zip->bytes + zip->size, text, size);
	zip->size += size;
}

void zip_set(struct zip *zip, size_t at, uint64_t value, int bytes)
{
	for (; bytes > 0; bytes--, value >>= 8)
		zip->bytes[at++] = (unsigned char)value;
}

void zip_gap(struct zip *zip, size_t at, size_t size)
{
	memmove(zip->bytes + at + size, zip->bytes + at, zip->size - at);
	memset(zip->bytes + at, 0, size);
	zip->size += size;
}

static const struct {
	const char *name, *data;
	size_t size;
	uint16_t method;
	uint32_t attributes;
} contents[] = {
	{ "Guest_Drivers/", "", 0, 0, 040755u << 16 },
	{ ZIP_RUN, "\x01\x05\0\xfa\xffhello", 10, 8, 0100644u << 16 },
	{ ZIP_KEY, ZIP_HELLO, 5, 0, 0 },
};

static void put_end(struct zip *zip)
{
	zip->end = zip->size;
	zip_put(zip, 0x06054b50, 4);
	zip_put(zip, 0, 4);
	zip_put(zip, 3, 2);
	zip_put(zip, 3, 2);
	zip_put(zip, zip->end - zip->directory, 4);
	zip_put(zip, zip->directory, 4);
	zip_put(zip, 0, 2);
}

void zip_build(struct zip *zip)
{
	*zip = (struct zip){ .size = 0 };

	for (size_t i = 0; i < 3; i++) {
		size_t length = contents[i].size ? 5 : 0;

		zip->local[i] = zip->size;
		zip_put(zip, 0x04034b50, 4);
		zip_put(zip, 20, 2);
		zip_put(zip, 0, 2);
		zip_put(zip, contents[i].method, 2);
		zip_put(zip, 0, 4);
		zip_put(zip, length ? ZIP_HELLO_CRC : 0, 4);
		zip_put(zip, contents[i].size, 4);
		zip_put(zip, length, 4);
		zip_put(zip, strlen(contents[i].name), 2);
		zip_put(zip, 0, 2);
		zip_put_text(zip, contents[i].name, strlen(contents[i].name));
		zip_put_text(zip, contents[i].data, contents[i].size);
	}
	zip->directory = zip->size;
	for (size_t i = 0; i < 3; i++) {
		zip->central[i] = zip->size;
		zip_put(zip, 0x02014b50, 4);
		zip_put(zip, 0x031e, 2); /* made on Unix */
		zip_put_text(zip, zip->bytes + zip->local[i] + 4, 26);
		zip_put(zip, 0, 6);
		zip_put(zip, contents[i].attributes, 4);
		zip_put(zip, zip->local[i], 4);
		zip_put_text(zip, contents[i].name, strlen(contents[i].name));
	}
	put_end(zip);
}

static void put_sizes(struct zip *zip, const struct zip_member *member, bool said)
{
	zip_put(zip, said ? member->crc : 0, 4);
	zip_put(zip, said ? member->size : 0, 4);
	zip_put(zip, said ? member->unpacked : 0, 4);
	zip_put(zip, strlen(member->name), 2);
	zip_put(zip, 0, 2);
}

void zip_add(struct zip *zip, const struct zip_member *member)
{
	size_t wide = member->descriptor >= 20 ? 8 : 4;

	zip_put(zip, 0x04034b50, 4);
	zip_put(zip, 20, 2);
	zip_put(zip, member->flags, 2);
	zip_put(zip, member->method, 2);
	zip_put(zip, 0, 4);
	put_sizes(zip, member, !(member->flags & 8));
	zip_put_text(zip, member->name, strlen(member->name));
	zip_put_text(zip, member->data, member->size);
	if (!(member->flags & 8))
		return;
	if (member->descriptor % 8 == 0)
		zip_put(zip, 0x08074b50, 4);
	zip_put(zip, member->crc, 4);
	zip_put(zip, member->size, (int)wide);
	zip_put(zip, member->unpacked, (int)wide);
}

void zip_close(struct zip *zip, const struct zip_member *members, size_t count)
{
	zip->directory = zip->size;
	for (size_t i = 0; i < count; i++) {
		zip->central[i] = zip->size;
		zip_put(zip, 0x02014b50, 4);
		zip_put(zip, 0x031e, 2);
		zip_put(zip, 20, 2);
		zip_put(zip, members[i].flags, 2);
		zip_put(zip, members[i].method, 2);
		zip_put(zip, 0, 4);
		put_sizes(zip, &members[i], true);
		zip_put(zip, 0, 10);
		zip_put(zip, zip->local[i], 4);
		zip_put_text(zip, members[i].name, strlen(members[i].name));
	}
	zip->end = zip->size;
	zip_put(zip, 0x06054b50, 4);
	zip_put(zip, 0, 4);
	zip_put(zip, count, 2);
	zip_put(zip, count, 2);
	zip_put(zip, zip->end - zip->directory, 4);
	zip_put(zip, zip->directory, 4);
	zip_put(zip, 0, 2);
}

int zip_write(const struct zip *zip)
{
	int fd = memfd_create("zip", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zip->bytes, zip->size, 0), zip->size);
	return fd;
}

int zip_unpack(const struct zip *zip, const char *name, char ret_text[static 64],
	       struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	cleanup_fd int fd = zip_write(zip);
	const struct bundle_member *member;
	struct bundle_file file;

	if (bundle_file_begin(&file, fd, err) < 0 ||
	    bundle_open(&file.source, &bundle, err) < 0)
		return -1;
	member = bundle_find(&bundle, name);
	assert_non_null(member);
	sink_memory_begin(&memory, 63);
	if (bundle_extract(&bundle, member, 1000, NULL, &memory.sink, err) < 0)
		return -1;
	(void)snprintf(ret_text, 64, "%s", memory.data ? memory.data : "");
	return 0;
}
