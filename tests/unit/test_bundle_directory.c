/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_directory.h"

#include <string.h>

#include "support/cmocka.h"
#include "support/zip.h"

static void nothing(struct zip *zip)
{
	(void)zip;
}

static void comment(struct zip *zip)
{
	zip_set(zip, zip->end + 20, 6, 2);
	zip_put_text(zip, "PK\5\6xx", 6);
}

static void prefix(struct zip *zip)
{
	zip_gap(zip, 0, 100);
}

static void descriptor(struct zip *zip)
{
	zip_set(zip, zip->local[1] + 6, 8, 2);
	zip_set(zip, zip->central[1] + 8, 8, 2);
	zip_set(zip, zip->local[1] + 14, 0, 8);
	zip_set(zip, zip->local[1] + 22, 0, 4);
}

static void zip64_local(struct zip *zip)
{
	zip_set(zip, zip->local[1] + 18, UINT32_MAX, 4);
	zip_set(zip, zip->local[1] + 22, UINT32_MAX, 4);
}

/* All values of the directory and of the end record in their zip64 places. */
static void zip64(struct zip *zip)
{
	size_t at = zip->central[1], extra = at + 46 + strlen(ZIP_RUN);
	size_t record;

	zip_gap(zip, extra, 32);
	zip_set(zip, extra, 1, 2);
	zip_set(zip, extra + 2, 28, 2);
	zip_set(zip, extra + 4, 5, 8);
	zip_set(zip, extra + 12, 10, 8);
	zip_set(zip, extra + 20, zip->local[1], 8);
	zip_set(zip, at + 20, UINT32_MAX, 4);
	zip_set(zip, at + 24, UINT32_MAX, 4);
	zip_set(zip, at + 30, 32, 2);
	zip_set(zip, at + 34, UINT16_MAX, 2);
	zip_set(zip, at + 42, UINT32_MAX, 4);

	record = zip->end + 32;
	zip->size = record;
	zip_put(zip, 0x06064b50, 4);
	zip_put(zip, 44, 8);
	zip_put(zip, 0, 4); /* versions */
	zip_put(zip, 0, 8); /* parts */
	zip_put(zip, 3, 8);
	zip_put(zip, 3, 8);
	zip_put(zip, record - zip->directory, 8);
	zip_put(zip, zip->directory, 8);
	zip_put(zip, 0x07064b50, 4);
	zip_put(zip, 0, 4);
	zip_put(zip, record, 8);
	zip_put(zip, 1, 4);
	zip_put(zip, 0x06054b50, 4);
	zip_put(zip, 0, 4);
	zip_put(zip, UINT64_MAX, 8);
	zip_put(zip, UINT64_MAX, 4);
	zip_put(zip, 0, 2);
}

static void zip64_prefix(struct zip *zip)
{
	zip64(zip);
	zip_gap(zip, 0, 100);
}

static void other_level(struct zip *zip)
{
	zip_set(zip, zip->local[1] + 6, 2, 2);
}

static void odd_padding(struct zip *zip)
{
	zip_set(zip, zip->central[2] + 30, 3, 2);
	zip_gap(zip, zip->end, 3);
	zip_set(zip, zip->end + 3 + 12, zip->end + 3 - zip->directory, 4);
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
		zip_build(&zip);
		good[i].change(&zip);
		if (zip_unpack(&zip, ZIP_RUN, text, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(text, ZIP_HELLO);
		assert_int_equal(zip_unpack(&zip, ZIP_KEY, text, &err), 0);
		assert_string_equal(text, ZIP_HELLO);
	}
}

static void one_byte_more(struct zip *zip)
{
	zip_put(zip, 0, 1);
}

static void zip64_contradiction(struct zip *zip)
{
	zip64(zip);
	zip_set(zip, zip->size - 22 + 8, 0x00020002, 4);
}

static void zip64_damaged(struct zip *zip)
{
	zip64(zip);
	zip_set(zip, zip->size - 22 - 20 - 56, 0, 4);
}

static void zip64_on_several_disks(struct zip *zip)
{
	zip64(zip);
	zip_set(zip, zip->size - 22 - 20 + 16, 2, 4);
}

static void zip64_with_entries_elsewhere(struct zip *zip)
{
	zip64(zip);
	zip_set(zip, zip->size - 22 - 20 - 56 + 24, 2, 8);
}

static void zip64_too_short(struct zip *zip)
{
	zip64(zip);
	zip_set(zip, zip->central[1] + 46 + strlen(ZIP_RUN) + 2, 20, 2);
}

/* An extra field for the second entry, in front of the third. */
static void add_extra(struct zip *zip, const void *extra, size_t size)
{
	size_t at = zip->central[1] + 46 + strlen(ZIP_RUN);

	zip_gap(zip, at, size);
	memcpy(zip->bytes + at, extra, size);
	zip_set(zip, zip->central[1] + 30, size, 2);
	zip_set(zip, zip->end + size + 12, zip->end + size - zip->directory, 4);
}

static void zip64_twice(struct zip *zip)
{
	add_extra(zip, "\1\0\0\0\1\0\0\0", 8);
}

static void extra_beyond_its_end(struct zip *zip)
{
	add_extra(zip, "\7\0\5\0xxxx", 8);
}

static const struct {
	const char *name;
	void (*change)(struct zip *zip);
	const char *text;
} worse[] = {
	{ "a byte behind the archive", one_byte_more,
	  "it does not end like a zip archive: cut off, or something follows" },
	{ "zip64 contradicts", zip64_contradiction,
	  "its zip64 record contradicts its end record" },
	{ "no zip64 record", zip64_damaged, "its zip64 record is damaged" },
	{ "zip64 on several disks", zip64_on_several_disks, "it has several parts" },
	{ "zip64 with entries elsewhere", zip64_with_entries_elsewhere,
	  "it has several parts" },
	{ "a zip64 field without the disk", zip64_too_short,
	  ZIP_RUN " needs a zip64 field" },
	{ "two zip64 fields", zip64_twice, ZIP_RUN " has two zip64 fields" },
	{ "an extra field beyond its end", extra_beyond_its_end,
	  ZIP_RUN " has a damaged extra field" },
};

static void what_no_writer_does_is_refused(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(worse); i++) {
		struct error err = ERROR_INIT;
		char text[64] = "";
		struct zip zip;

		print_message("case: %s\n", worse[i].name);
		zip_build(&zip);
		worse[i].change(&zip);
		assert_int_equal(zip_unpack(&zip, ZIP_RUN, text, &err), -1);
		assert_string_equal(err.text, worse[i].text);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_real_archives_do_works),
		cmocka_unit_test(what_no_writer_does_is_refused),
	};

	return cmocka_run_group_tests_name("bundle_directory", tests, NULL, NULL);
}
