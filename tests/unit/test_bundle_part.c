/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_part.h"

#include <string.h>

#include "support/cmocka.h"
#include "support/zip.h"
#include "worker/bundle/bundle_file.h"

/* The member of this name, as an index or as the directory has it. */
static struct bundle_member member_of(const struct zip *zip, size_t index, bool by_index)
{
	const unsigned char *at = zip->bytes + zip->central[index];
	struct bundle_member member = {
		.name = { (const char *)at + 46, bundle_file_u16(at + 28) },
		.offset = zip->local[index],
		.end = by_index ? zip->size
				: zip->local[index] + 30 + bundle_file_u16(at + 28) +
					  bundle_file_u32(at + 20),
		.compressed_size = bundle_file_u32(at + 20),
		.size = bundle_file_u32(at + 24),
		.method = bundle_file_u16(at + 10),
	};

	if (!by_index) {
		member.crc = bundle_file_u32(at + 16);
		member.flags = bundle_file_u16(at + 8);
	}
	return member;
}

/* As long as something is wanted it is handed over, in pieces. */
static int read_part(const struct zip *zip, struct bundle_part *part, size_t piece,
		     struct error *err)
{
	uint64_t first, end;

	while (bundle_part_wants(part, &first, &end)) {
		size_t n = end - first < piece ? (size_t)(end - first) : piece;

		assert_true(end <= zip->size);
		if (sink_write(&part->sink, zip->bytes + first, n, err) < 0)
			return -1;
	}
	return bundle_part_end(part, err);
}

static int unpack(const struct zip *zip, const struct bundle_member *member,
		  bool by_index, size_t piece, struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_part_done) struct bundle_part part = { .header = 0 };

	sink_memory_begin(&memory, 100);
	assert_int_equal(bundle_part_begin(&part, member, by_index, &memory.sink, err),
			 0);
	if (read_part(zip, &part, piece, err) < 0)
		return -1;
	assert_string_equal(memory.data, ZIP_HELLO);
	return 0;
}

static void assert_unpacks(const struct zip *zip, size_t index, bool by_index)
{
	struct bundle_member member = member_of(zip, index, by_index);

	for (size_t piece = 1; piece < 100; piece++) {
		struct error err = ERROR_INIT;

		if (unpack(zip, &member, by_index, piece, &err) < 0)
			fail_msg("member %zu, pieces of %zu: %s", index, piece, err.text);
	}
}

static void a_member_comes_out_of_its_part_of_the_archive(void **state)
{
	struct zip zip;

	(void)state;
	zip_build(&zip);
	for (size_t index = 1; index <= 2; index++) {
		assert_unpacks(&zip, index, false);
		assert_unpacks(&zip, index, true);
	}
}

static void a_long_extra_field_is_asked_for_as_well(void **state)
{
	enum { EXTRA = 700 };
	struct bundle_member member;
	struct error err = ERROR_INIT;
	struct zip zip;

	(void)state;
	zip_build(&zip);
	zip_set(&zip, zip.local[1] + 28, EXTRA, 2);
	zip_gap(&zip, zip.local[1] + 30 + strlen(ZIP_RUN), EXTRA);
	for (size_t i = 0; i < 3; i++)
		zip.central[i] += EXTRA;
	member = member_of(&zip, 1, true);

	assert_int_equal(unpack(&zip, &member, true, 50, &err), 0);
}

static void what_contradicts_the_archive_is_refused(void **state)
{
	static const struct {
		const char *name;
		uint64_t offset, compressed_size, size;
		uint16_t method;
		const char *text;
	} cases[] = {
		{ "another place", 1, 10, 5, 8, "has no local header" },
		{ "another size", 0, 10, 6, 8, "other sizes" },
		{ "another packed size", 0, 9, 5, 8, "other sizes" },
		{ "another method", 0, 10, 5, 12, "another method" },
		{ "stored", 0, 10, 10, 0, "another method in its local header" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct bundle_member member;
		struct zip zip;

		print_message("case: %s\n", cases[i].name);
		zip_build(&zip);
		member = member_of(&zip, 1, true);
		member.offset += cases[i].offset;
		member.compressed_size = cases[i].compressed_size;
		member.size = cases[i].size;
		member.method = cases[i].method;

		assert_int_equal(unpack(&zip, &member, true, 1000, &err), -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s", err.text);
	}
}

static void by_the_directory_the_crc_is_checked(void **state)
{
	struct error err = ERROR_INIT;
	struct bundle_member member;
	struct zip zip;

	(void)state;
	zip_build(&zip);
	zip.bytes[zip.directory - 1] = '!';
	member = member_of(&zip, 2, false);

	assert_int_equal(unpack(&zip, &member, false, 1000, &err), -1);
	assert_memory_equal(err.text, ZIP_KEY ": its CRC-32 is ", strlen(ZIP_KEY) + 16);
}

static void an_encrypted_member_of_an_index_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	struct bundle_member member;
	struct zip zip;

	(void)state;
	zip_build(&zip);
	zip_set(&zip, zip.local[1] + 6, 1, 2);
	member = member_of(&zip, 1, true);

	assert_int_equal(unpack(&zip, &member, true, 1000, &err), -1);
	assert_string_equal(err.text, ZIP_RUN " is encrypted or a patch");
}

static void a_stored_member_goes_on_where_another_process_was(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(bundle_part_done) struct bundle_part part = { .header = 0 };
	struct inflate_point point = { .in = 3, .out = 3 };
	struct error err = ERROR_INIT;
	struct bundle_member member;
	uint64_t first, end;
	struct zip zip;

	(void)state;
	zip_build(&zip);
	member = member_of(&zip, 2, true);
	sink_memory_begin(&memory, 100);
	assert_int_equal(bundle_part_begin(&part, &member, true, &memory.sink, &err), 0);
	assert_int_equal(bundle_part_resume(&part, 30 + strlen(ZIP_KEY), &point,
					    (struct span){ "hel", 3 }, &err),
			 0);

	assert_true(bundle_part_wants(&part, &first, &end));
	assert_int_equal(first, zip.directory - 2);
	assert_int_equal(end, zip.directory);
	assert_int_equal(read_part(&zip, &part, 1, &err), 0);
	assert_string_equal(memory.data, "lo");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_member_comes_out_of_its_part_of_the_archive),
		cmocka_unit_test(a_long_extra_field_is_asked_for_as_well),
		cmocka_unit_test(what_contradicts_the_archive_is_refused),
		cmocka_unit_test(by_the_directory_the_crc_is_checked),
		cmocka_unit_test(an_encrypted_member_of_an_index_is_refused),
		cmocka_unit_test(a_stored_member_goes_on_where_another_process_was),
	};

	return cmocka_run_group_tests_name("bundle_part", tests, NULL, NULL);
}
