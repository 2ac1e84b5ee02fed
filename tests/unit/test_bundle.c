/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle.h"

#include <string.h>
#include <sys/mman.h>

#include "support/cmocka.h"

#define HELLO "hello"
#define HELLO_CRC 0x3610a686u
#define RUN "Guest_Drivers/a-grid.run" /* deflated, in a stored block */
#define KEY "Signing_Keys/key.pub"     /* stored */

/* A small good archive, and where its parts are. */
struct zip {
	unsigned char bytes[4096];
	size_t size;
	size_t local[3], central[3], directory, end;
};

static void put(struct zip *zip, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		zip->bytes[zip->size++] = (unsigned char)(value >> (8 * i));
}

static void put_text(struct zip *zip, const void *text, size_t size)
{
	memcpy(zip->bytes + zip->size, text, size);
	zip->size += size;
}

static void set(struct zip *zip, size_t at, uint64_t value, int bytes)
{
	for (int i = 0; i < bytes; i++)
		zip->bytes[at + (size_t)i] = (unsigned char)(value >> (8 * i));
}

/* Opens a gap of zeros. */
static void gap(struct zip *zip, size_t at, size_t size)
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
	{ RUN, "\x01\x05\0\xfa\xffhello", 10, 8, 0100644u << 16 },
	{ KEY, HELLO, 5, 0, 0 },
};

static void put_end(struct zip *zip)
{
	zip->end = zip->size;
	put(zip, 0x06054b50, 4);
	put(zip, 0, 4);
	put(zip, 3, 2);
	put(zip, 3, 2);
	put(zip, zip->end - zip->directory, 4);
	put(zip, zip->directory, 4);
	put(zip, 0, 2);
}

static void build(struct zip *zip)
{
	*zip = (struct zip){ .size = 0 };

	for (size_t i = 0; i < 3; i++) {
		size_t length = contents[i].size ? 5 : 0;

		zip->local[i] = zip->size;
		put(zip, 0x04034b50, 4);
		put(zip, 20, 2);
		put(zip, 0, 2);
		put(zip, contents[i].method, 2);
		put(zip, 0, 4);
		put(zip, length ? HELLO_CRC : 0, 4);
		put(zip, contents[i].size, 4);
		put(zip, length, 4);
		put(zip, strlen(contents[i].name), 2);
		put(zip, 0, 2);
		put_text(zip, contents[i].name, strlen(contents[i].name));
		put_text(zip, contents[i].data, contents[i].size);
	}
	zip->directory = zip->size;
	for (size_t i = 0; i < 3; i++) {
		zip->central[i] = zip->size;
		put(zip, 0x02014b50, 4);
		put(zip, 0x031e, 2); /* made on Unix */
		put_text(zip, zip->bytes + zip->local[i] + 4, 26);
		put(zip, 0, 6);
		put(zip, contents[i].attributes, 4);
		put(zip, zip->local[i], 4);
		put_text(zip, contents[i].name, strlen(contents[i].name));
	}
	put_end(zip);
}

static int write_file(const struct zip *zip)
{
	int fd = memfd_create("zip", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, zip->bytes, zip->size, 0), zip->size);
	return fd;
}

/* 0 and the content, or -1 and the error. */
static int unpack(const struct zip *zip, const char *name, char ret_text[static 64],
		  struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	cleanup_fd int fd = write_file(zip);
	const struct bundle_member *member;

	if (bundle_open(fd, &bundle, err) < 0)
		return -1;
	member = bundle_find(&bundle, name);
	assert_non_null(member);
	sink_memory_begin(&memory, 63);
	if (bundle_extract(&bundle, member, 1000, NULL, &memory.sink, err) < 0)
		return -1;
	(void)snprintf(ret_text, 64, "%s", memory.data ? memory.data : "");
	return 0;
}

static void nothing(struct zip *zip)
{
	(void)zip;
}

static void comment(struct zip *zip)
{
	set(zip, zip->end + 20, 6, 2);
	put_text(zip, "PK\5\6xx", 6);
}

static void prefix(struct zip *zip)
{
	gap(zip, 0, 100);
}

static void descriptor(struct zip *zip)
{
	set(zip, zip->local[1] + 6, 8, 2);
	set(zip, zip->central[1] + 8, 8, 2);
	set(zip, zip->local[1] + 14, 0, 8);
	set(zip, zip->local[1] + 22, 0, 4);
}

static void zip64_local(struct zip *zip)
{
	set(zip, zip->local[1] + 18, UINT32_MAX, 4);
	set(zip, zip->local[1] + 22, UINT32_MAX, 4);
}

/* All values of the directory and of the end record in their zip64 places. */
static void zip64(struct zip *zip)
{
	size_t at = zip->central[1], extra = at + 46 + strlen(RUN);
	size_t record;

	gap(zip, extra, 32);
	set(zip, extra, 1, 2);
	set(zip, extra + 2, 28, 2);
	set(zip, extra + 4, 5, 8);
	set(zip, extra + 12, 10, 8);
	set(zip, extra + 20, zip->local[1], 8);
	set(zip, at + 20, UINT32_MAX, 4);
	set(zip, at + 24, UINT32_MAX, 4);
	set(zip, at + 30, 32, 2);
	set(zip, at + 34, UINT16_MAX, 2);
	set(zip, at + 42, UINT32_MAX, 4);

	record = zip->end + 32;
	zip->size = record;
	put(zip, 0x06064b50, 4);
	put(zip, 44, 8);
	put(zip, 0, 4); /* versions */
	put(zip, 0, 8); /* parts */
	put(zip, 3, 8);
	put(zip, 3, 8);
	put(zip, record - zip->directory, 8);
	put(zip, zip->directory, 8);
	put(zip, 0x07064b50, 4);
	put(zip, 0, 4);
	put(zip, record, 8);
	put(zip, 1, 4);
	put(zip, 0x06054b50, 4);
	put(zip, 0, 4);
	put(zip, UINT64_MAX, 8);
	put(zip, UINT64_MAX, 4);
	put(zip, 0, 2);
}

static void zip64_prefix(struct zip *zip)
{
	zip64(zip);
	gap(zip, 0, 100);
}

static void other_level(struct zip *zip)
{
	set(zip, zip->local[1] + 6, 2, 2);
}

static void odd_padding(struct zip *zip)
{
	set(zip, zip->central[2] + 30, 3, 2);
	gap(zip, zip->end, 3);
	set(zip, zip->end + 3 + 12, zip->end + 3 - zip->directory, 4);
}

static const struct {
	const char *name;
	void (*change)(struct zip *zip);
} good[] = {
	{ "plain", nothing },
	{ "a comment that looks like an end", comment },
	{ "bytes in front", prefix },
	{ "a data descriptor", descriptor },
	{ "sizes in the local zip64 field", zip64_local },
	{ "zip64 everywhere", zip64 },
	{ "zip64 with bytes in front", zip64_prefix },
	{ "another level in the local header", other_level },
	{ "extra bytes that are no field", odd_padding },
};

static void what_real_archives_do_works(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(good); i++) {
		struct error err = ERROR_INIT;
		char text[64] = "";
		struct zip zip;

		print_message("case: %s\n", good[i].name);
		build(&zip);
		good[i].change(&zip);
		if (unpack(&zip, RUN, text, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(text, HELLO);
		assert_int_equal(unpack(&zip, KEY, text, &err), 0);
		assert_string_equal(text, HELLO);
	}
}

/* A change of some bytes of one part, and what must be said. */
enum part { LOCAL, CENTRAL, END };
static const struct {
	const char *name;
	enum part part;
	size_t at;
	uint64_t value;
	int bytes;
	const char *text;
} bad[] = {
	{ "encrypted", CENTRAL, 8, 1, 2, RUN " is encrypted or a patch" },
	{ "strongly encrypted", CENTRAL, 8, 0x41, 2, RUN " is encrypted or a patch" },
	{ "masked", CENTRAL, 8, 0x2000, 2, RUN " is encrypted or a patch" },
	{ "encrypted in the local header only", LOCAL, 6, 1, 2,
	  RUN " has other flags in its local header" },
	{ "bzip2", CENTRAL, 10, 12, 2,
	  RUN " is compressed by another method than deflate" },
	{ "another method in the local header", LOCAL, 8, 0, 2,
	  RUN " has another method in its local header" },
	{ "a symbolic link", CENTRAL, 38, 0120777u << 16, 4, RUN " is a symbolic link" },
	{ "a device", CENTRAL, 38, 020777u << 16, 4, RUN " is no regular file" },
	{ "stored with two sizes", CENTRAL, 10, 0, 2,
	  RUN " is stored with two different sizes" },
	{ "a bomb by its own words", CENTRAL, 24, 1u << 30, 4,
	  RUN " promises to unpack to more than deflate can hold" },
	{ "no local header", LOCAL, 0, 0, 4, RUN " has no local header" },
	{ "another name in the local header", LOCAL, 30, 'X', 1,
	  RUN " has another name in its local header" },
	{ "a shorter name in the local header", LOCAL, 26, 4, 2,
	  RUN " has another name in its local header" },
	{ "another CRC in the local header", LOCAL, 14, 1, 4,
	  RUN " has other sizes or another CRC-32 in its local header" },
	{ "another size in the local header", LOCAL, 22, 6, 4,
	  RUN " has other sizes or another CRC-32 in its local header" },
	{ "sizes left to a descriptor that is not announced", LOCAL, 18, 0, 4,
	  RUN " has other sizes or another CRC-32 in its local header" },
	{ "a local extra field into the next member", LOCAL, 28, 1, 2,
	  RUN " overlaps what follows it" },
	{ "a size into the next member", CENTRAL, 20, 11, 4,
	  RUN " overlaps what follows it" },
	{ "the place of another member", CENTRAL, 42, 0, 4,
	  "Guest_Drivers/ overlaps what follows it" },
	{ "a place outside", CENTRAL, 42, 4000, 4, RUN " lies outside of the archive" },
	{ "another disk", CENTRAL, 34, 1, 2, RUN " lies in another part of the archive" },
	{ "zip64 without its field", CENTRAL, 24, UINT32_MAX, 4,
	  RUN " needs a zip64 field" },
	{ "an absolute name", CENTRAL, 46, '/', 1,
	  "/uest_Drivers/a-grid.run has an unsafe name" },
	{ "a NUL in the name", CENTRAL, 48, 0, 1,
	  "Gu?st_Drivers/a-grid.run has an unsafe name" },
	{ "a backslash in the name", CENTRAL, 59, '\\', 1,
	  "Guest_Drivers\\a-grid.run has an unsafe name" },
	{ "a parent in the name", CENTRAL, 46, 0x2f2e2e, 3,
	  "../st_Drivers/a-grid.run has an unsafe name" },
	{ "no name", CENTRAL, 28, 0, 2, "a member has an unsafe name" },
	{ "another entry's signature", CENTRAL, 0, 0, 4, "its directory is damaged" },
	{ "a name beyond the directory", CENTRAL, 28, 60000, 2,
	  "its directory is damaged" },
	{ "several parts", END, 4, 1, 2, "it has several parts" },
	{ "fewer entries here than in all", END, 8, 2, 2, "it has several parts" },
	{ "fewer entries than there are", END, 8, 0x00020002, 4,
	  "its directory is damaged" },
	{ "more entries than there are", END, 8, 0x00040004, 4,
	  "its directory is damaged" },
	{ "too many entries", END, 8, 0xfffefffe, 4,
	  "its directory is larger than any bundle's" },
	{ "a directory that is too large", END, 12, 1u << 31, 4,
	  "its directory is larger than any bundle's" },
	{ "a directory before the file", END, 12, 4000, 4,
	  "its end record points outside of it" },
	{ "a directory after the file", END, 16, 4000, 4,
	  "its end record points outside of it" },
	{ "a comment beyond the file", END, 20, 1, 2,
	  "it does not end like a zip archive: cut off, or something follows" },
};

static size_t place(const struct zip *zip, enum part part)
{
	if (part == LOCAL)
		return zip->local[1];
	return part == CENTRAL ? zip->central[1] : zip->end;
}

static void what_cannot_be_trusted_is_refused_by_name(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct error err = ERROR_INIT;
		char text[64] = "";
		struct zip zip;

		print_message("case: %s\n", bad[i].name);
		build(&zip);
		set(&zip, place(&zip, bad[i].part) + bad[i].at, bad[i].value,
		    bad[i].bytes);
		assert_int_equal(unpack(&zip, RUN, text, &err), -1);
		assert_string_equal(err.text, bad[i].text);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

static void damaged_content_is_refused_by_name(void **state)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	struct zip zip;

	(void)state;
	build(&zip);
	zip.bytes[zip.directory - 1] = '!';

	assert_int_equal(unpack(&zip, KEY, text, &err), -1);

	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_memory_equal(err.text, KEY ": its CRC-32 is ", strlen(KEY) + 16);
}

static void two_members_of_one_name_are_refused(void **state)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	struct zip zip;

	(void)state;
	build(&zip);
	memcpy(zip.bytes + zip.central[2] + 46, "Guest_Drivers/a-grid", 20);
	memcpy(zip.bytes + zip.central[1] + 46, "Guest_Drivers/a-grid.run", 24);
	set(&zip, zip.central[1] + 28, 20, 2);
	set(&zip, zip.central[1] + 32, 4, 2); /* ".run" is a comment now */

	assert_int_equal(unpack(&zip, RUN, text, &err), -1);

	assert_string_equal(err.text, "Guest_Drivers/a-grid is there twice");
}

static void a_record_of_zip64_that_contradicts_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	struct zip zip;

	(void)state;
	build(&zip);
	zip64(&zip);
	set(&zip, zip.size - 22 + 8, 0x00020002, 4);

	assert_int_equal(unpack(&zip, RUN, text, &err), -1);

	assert_string_equal(err.text, "its zip64 record contradicts its end record");
}

static void an_archive_cut_anywhere_is_refused(void **state)
{
	struct zip whole;

	(void)state;
	build(&whole);

	for (size_t size = 0; size < whole.size; size++) {
		struct error err = ERROR_INIT;
		struct zip zip = whole;
		char text[64] = "";

		zip.size = size;
		assert_int_equal(unpack(&zip, RUN, text, &err), -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

static void a_folder_has_no_content(void **state)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	struct zip zip;

	(void)state;
	build(&zip);

	assert_int_equal(unpack(&zip, "Guest_Drivers/", text, &err), -1);

	assert_string_equal(err.text, "Guest_Drivers/ is a folder");
}

static void a_member_larger_than_allowed_is_refused(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;
	struct zip zip;

	(void)state;
	build(&zip);
	fd = write_file(&zip);
	assert_int_equal(bundle_open(fd, &bundle, &err), 0);
	sink_memory_begin(&memory, 63);

	assert_int_equal(bundle_extract(&bundle, bundle_find(&bundle, RUN), 4, NULL,
					&memory.sink, &err),
			 -1);

	assert_string_equal(err.text, RUN " is larger than it may be");
	assert_int_equal(memory.size, 0);
}

/* Real bundles end beyond 2^31, and others beyond 2^32. */
static void members_beyond_four_gigabytes_are_found(void **state)
{
	static const uint64_t shifts[] = { UINT64_C(1) << 31,
					   (UINT64_C(1) << 32) + 12345 };

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(shifts); i++) {
		cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
		cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
		cleanup_fd int fd = memfd_create("zip", MFD_CLOEXEC);
		struct error err = ERROR_INIT;
		struct zip zip;

		build(&zip);
		assert_int_equal(pwrite(fd, zip.bytes, zip.size, (off_t)shifts[i]),
				 zip.size);
		assert_int_equal(bundle_open(fd, &bundle, &err), 0);
		sink_memory_begin(&memory, 63);
		assert_int_equal(bundle_extract(&bundle, bundle_find(&bundle, RUN), 1000,
						NULL, &memory.sink, &err),
				 0);
		assert_string_equal(memory.data, HELLO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_real_archives_do_works),
		cmocka_unit_test(what_cannot_be_trusted_is_refused_by_name),
		cmocka_unit_test(damaged_content_is_refused_by_name),
		cmocka_unit_test(two_members_of_one_name_are_refused),
		cmocka_unit_test(a_record_of_zip64_that_contradicts_is_refused),
		cmocka_unit_test(an_archive_cut_anywhere_is_refused),
		cmocka_unit_test(a_folder_has_no_content),
		cmocka_unit_test(a_member_larger_than_allowed_is_refused),
		cmocka_unit_test(members_beyond_four_gigabytes_are_found),
	};

	return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
