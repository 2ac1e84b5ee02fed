/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle.h"

#include <string.h>
#include <sys/mman.h>

#include "support/cmocka.h"
#include "support/zip.h"
#include "worker/bundle/bundle_file.h"

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
	{ "encrypted", CENTRAL, 8, 1, 2, ZIP_RUN " is encrypted or a patch" },
	{ "strongly encrypted", CENTRAL, 8, 0x41, 2, ZIP_RUN " is encrypted or a patch" },
	{ "masked", CENTRAL, 8, 0x2000, 2, ZIP_RUN " is encrypted or a patch" },
	{ "encrypted in the local header only", LOCAL, 6, 1, 2,
	  ZIP_RUN " has other flags in its local header" },
	{ "bzip2", CENTRAL, 10, 12, 2,
	  ZIP_RUN " is compressed by another method than deflate" },
	{ "another method in the local header", LOCAL, 8, 0, 2,
	  ZIP_RUN " has another method in its local header" },
	{ "a symbolic link", CENTRAL, 38, 0120777u << 16, 4,
	  ZIP_RUN " is a symbolic link" },
	{ "a device", CENTRAL, 38, 020777u << 16, 4, ZIP_RUN " is no regular file" },
	{ "stored with two sizes", CENTRAL, 10, 0, 2,
	  ZIP_RUN " is stored with two different sizes" },
	{ "a bomb by its own words", CENTRAL, 24, 1u << 30, 4,
	  ZIP_RUN " promises to unpack to more than deflate can hold" },
	{ "no local header", LOCAL, 0, 0, 4, ZIP_RUN " has no local header" },
	{ "another name in the local header", LOCAL, 30, 'X', 1,
	  ZIP_RUN " has another name in its local header" },
	{ "a shorter name in the local header", LOCAL, 26, 4, 2,
	  ZIP_RUN " has another name in its local header" },
	{ "another CRC in the local header", LOCAL, 14, 1, 4,
	  ZIP_RUN " has other sizes or another CRC-32 in its local header" },
	{ "another size in the local header", LOCAL, 22, 6, 4,
	  ZIP_RUN " has other sizes or another CRC-32 in its local header" },
	{ "sizes left to a descriptor that is not announced", LOCAL, 18, 0, 4,
	  ZIP_RUN " has other sizes or another CRC-32 in its local header" },
	{ "a local extra field into the next member", LOCAL, 28, 1, 2,
	  ZIP_RUN " overlaps what follows it" },
	{ "a local extra field over all that follows", LOCAL, 28, 60000, 2,
	  ZIP_RUN " overlaps what follows it" },
	{ "a size into the next member", CENTRAL, 20, 11, 4,
	  ZIP_RUN " overlaps what follows it" },
	{ "the place of another member", CENTRAL, 42, 0, 4,
	  "Guest_Drivers/ overlaps what follows it" },
	{ "a place outside", CENTRAL, 42, 4000, 4,
	  ZIP_RUN " lies outside of the archive" },
	{ "another disk", CENTRAL, 34, 1, 2,
	  ZIP_RUN " lies in another part of the archive" },
	{ "zip64 without its field", CENTRAL, 24, UINT32_MAX, 4,
	  ZIP_RUN " needs a zip64 field" },
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
		zip_build(&zip);
		zip_set(&zip, place(&zip, bad[i].part) + bad[i].at, bad[i].value,
			bad[i].bytes);
		assert_int_equal(zip_unpack(&zip, ZIP_RUN, text, &err), -1);
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
	zip_build(&zip);
	zip.bytes[zip.directory - 1] = '!';

	assert_int_equal(zip_unpack(&zip, ZIP_KEY, text, &err), -1);

	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_memory_equal(err.text, ZIP_KEY ": its CRC-32 is ", strlen(ZIP_KEY) + 16);
}

static void two_members_of_one_name_are_refused(void **state)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	struct zip zip;

	(void)state;
	zip_build(&zip);
	memcpy(zip.bytes + zip.central[2] + 46, "Guest_Drivers/a-grid", 20);
	memcpy(zip.bytes + zip.central[1] + 46, "Guest_Drivers/a-grid.run", 24);
	zip_set(&zip, zip.central[1] + 28, 20, 2);
	zip_set(&zip, zip.central[1] + 32, 4, 2); /* ".run" is a comment now */

	assert_int_equal(zip_unpack(&zip, ZIP_RUN, text, &err), -1);

	assert_string_equal(err.text, "Guest_Drivers/a-grid is there twice");
}

static void an_archive_cut_anywhere_is_refused(void **state)
{
	struct zip whole;

	(void)state;
	zip_build(&whole);

	for (size_t size = 0; size < whole.size; size++) {
		struct error err = ERROR_INIT;
		struct zip zip = whole;
		char text[64] = "";

		zip.size = size;
		assert_int_equal(zip_unpack(&zip, ZIP_RUN, text, &err), -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

static void a_folder_has_no_content(void **state)
{
	struct error err = ERROR_INIT;
	char text[64] = "";
	struct zip zip;

	(void)state;
	zip_build(&zip);

	assert_int_equal(zip_unpack(&zip, "Guest_Drivers/", text, &err), -1);

	assert_string_equal(err.text, "Guest_Drivers/ is a folder");
}

static void a_member_larger_than_allowed_is_refused(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_done) struct bundle bundle = BUNDLE_INIT;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;
	struct bundle_file file;
	struct zip zip;

	(void)state;
	zip_build(&zip);
	fd = zip_write(&zip);
	assert_int_equal(bundle_file_begin(&file, fd, &err), 0);
	assert_int_equal(bundle_open(&file.source, &bundle, &err), 0);
	sink_memory_begin(&memory, 63);

	assert_int_equal(bundle_extract(&bundle, bundle_find(&bundle, ZIP_RUN), 4, NULL,
					&memory.sink, &err),
			 -1);

	assert_string_equal(err.text, ZIP_RUN " is larger than it may be");
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
		struct bundle_file file;
		struct zip zip;

		zip_build(&zip);
		assert_int_equal(pwrite(fd, zip.bytes, zip.size, (off_t)shifts[i]),
				 zip.size);
		assert_int_equal(bundle_file_begin(&file, fd, &err), 0);
		assert_int_equal(bundle_open(&file.source, &bundle, &err), 0);
		sink_memory_begin(&memory, 63);
		assert_int_equal(bundle_extract(&bundle, bundle_find(&bundle, ZIP_RUN),
						1000, NULL, &memory.sink, &err),
				 0);
		assert_string_equal(memory.data, ZIP_HELLO);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_cannot_be_trusted_is_refused_by_name),
		cmocka_unit_test(damaged_content_is_refused_by_name),
		cmocka_unit_test(two_members_of_one_name_are_refused),
		cmocka_unit_test(an_archive_cut_anywhere_is_refused),
		cmocka_unit_test(a_folder_has_no_content),
		cmocka_unit_test(a_member_larger_than_allowed_is_refused),
		cmocka_unit_test(members_beyond_four_gigabytes_are_found),
	};

	return cmocka_run_group_tests_name("bundle", tests, NULL, NULL);
}
