/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/bundle/bundle_stream.h"

#include <string.h>

#include "support/cmocka.h"
#include "support/zip.h"

#define RUN "Guest_Drivers/NVIDIA-Linux-x86_64-525.105.17-grid.run"
#define DEB "Guest_Drivers/nvidia-linux-grid-525_525.105.17_amd64.deb"
#define PACKED "\x01\x05\0\xfa\xffhello" /* deflated, in a stored block */

static const struct member_wish wish = { .bundle = "a.zip",
					 .arch = "x86_64",
					 .kinds = { PACKAGE_RUN, PACKAGE_DEB } };

static const struct zip_member folder = { .name = "Guest_Drivers/", .data = "" };
static const struct zip_member stored_run = {
	.name = RUN, .data = ZIP_HELLO, .size = 5, .crc = ZIP_HELLO_CRC, .unpacked = 5
};
static const struct zip_member packed_run = { .name = RUN,
					      .data = PACKED,
					      .size = 10,
					      .method = 8,
					      .crc = ZIP_HELLO_CRC,
					      .unpacked = 5 };
static const struct zip_member other = {
	.name = "a.pdf", .data = ZIP_HELLO, .size = 5, .crc = ZIP_HELLO_CRC, .unpacked = 5
};

static struct zip_member described(struct zip_member member, size_t descriptor)
{
	member.flags = 8;
	member.descriptor = descriptor;
	return member;
}

static void build(struct zip *zip, const struct zip_member *members, size_t count)
{
	*zip = (struct zip){ .size = 0 };
	for (size_t i = 0; i < count; i++) {
		zip->local[i] = zip->size;
		zip_add(zip, &members[i]);
	}
	zip_close(zip, members, count);
}

static int write_pieces(struct sink *sink, const struct zip *zip, size_t piece,
			struct error *err)
{
	for (size_t at = 0; at < zip->size; at += piece) {
		size_t n = zip->size - at < piece ? zip->size - at : piece;

		if (sink_write(sink, zip->bytes + at, n, err) < 0)
			return -1;
	}
	return 0;
}

/* The content of what was taken, in `memory`. */
static int read_in_pieces(const struct zip *zip, size_t piece, struct sink_memory *memory,
			  struct member *ret_member, struct error *err)
{
	cleanup_bundle_stream struct bundle_stream *stream = NULL;

	sink_memory_begin(memory, 1000);
	assert_int_equal(bundle_stream_begin(&wish, 100, &memory->sink, &stream, err), 0);
	if (write_pieces(bundle_stream_sink(stream), zip, piece, err) < 0)
		return -1;
	return bundle_stream_end(stream, ret_member, err);
}

static void assert_hello(const struct zip *zip)
{
	for (size_t piece = 1; piece <= zip->size; piece++) {
		cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
		struct error err = ERROR_INIT;
		struct member member = { .kind = PACKAGE_NONE };

		if (read_in_pieces(zip, piece, &memory, &member, &err) < 0)
			fail_msg("pieces of %zu: %s", piece, err.text);
		assert_string_equal(memory.data, ZIP_HELLO);
		assert_string_equal(member.name, RUN);
		assert_string_equal(member.version, "525.105.17");
		assert_int_equal(member.kind, PACKAGE_RUN);
	}
}

static void the_member_is_taken_from_pieces_of_any_size(void **state)
{
	struct zip zip;

	(void)state;
	build(&zip, (struct zip_member[]){ folder, other, stored_run }, 3);
	assert_hello(&zip);
	build(&zip, (struct zip_member[]){ packed_run, other }, 2);
	assert_hello(&zip);
}

static void every_form_of_a_data_descriptor_is_passed(void **state)
{
	static const size_t forms[] = { 12, 16, 20, 24 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(forms); i++) {
		struct zip_member pdf = packed_run;
		struct zip zip;

		pdf.name = "a.pdf";
		build(&zip,
		      (struct zip_member[]){ described(folder, forms[i]),
					     described(pdf, forms[i]),
					     described(packed_run, forms[i]) },
		      3);
		assert_hello(&zip);
	}
}

static void a_restart_forgets_all(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup_bundle_stream struct bundle_stream *stream = NULL;
	struct error err = ERROR_INIT;
	struct member member;
	struct sink *sink;
	struct zip zip;

	(void)state;
	build(&zip, (struct zip_member[]){ other, packed_run }, 2);
	sink_memory_begin(&memory, 1000);
	assert_int_equal(bundle_stream_begin(&wish, 100, &memory.sink, &stream, &err), 0);
	sink = bundle_stream_sink(stream);

	/* Broken off in each of its parts. */
	for (size_t cut = 0; cut < zip.size; cut++) {
		assert_int_equal(sink_write(sink, zip.bytes, cut, &err), 0);
		assert_int_equal(sink_restart(sink, &err), 0);
	}
	assert_int_equal(sink_write(sink, zip.bytes, zip.size, &err), 0);

	assert_int_equal(bundle_stream_end(stream, &member, &err), 0);
	assert_int_equal(memory.size, 5);
}

/* A change of some bytes, and what must be said; `pass`: another way may read it. */
enum place { LOCAL, CENTRAL, END };
static const struct {
	const char *name;
	enum place place;
	size_t at;
	uint64_t value;
	int bytes;
	bool pass;
	const char *text;
} bad[] = {
	{ "no member first", LOCAL, 0, 0x41414141, 4, true,
	  "its members do not follow each other" },
	{ "a size that is too large", LOCAL, 18, 11, 4, false, "bytes follow the end" },
	{ "a size that is too small", LOCAL, 18, 9, 4, false, "end before their time" },
	{ "zip64 that is not there", LOCAL, 18, UINT32_MAX, 4, true,
	  "does not say how large it is" },
	{ "stored data whose size follows", LOCAL, 6, 0x00000008, 4, true,
	  "the size of stored data follows" },
	{ "larger than it may be", LOCAL, 22, 101, 4, false, "is larger than it may be" },
	{ "more than it says", LOCAL, 22, 4, 4, false, "unpacks to more than the 4" },
	{ "a name that is too long", LOCAL, 26, 512, 2, false, "name that is too long" },
	{ "encrypted", LOCAL, 6, 1, 2, true, "another member" },
	{ "another name", LOCAL, 30, 'x', 1, false, "another name in its local header" },
	{ "another CRC", LOCAL, 14, 1, 4, false, "another CRC-32 in its local header" },
	{ "another CRC in the directory", CENTRAL, 16, 1, 4, false, "CRC-32" },
	{ "another size in the directory", CENTRAL, 24, 6, 4, false, "other sizes" },
	{ "another place in the directory", CENTRAL, 42, 3, 4, false, "overlaps" },
	{ "another name in the directory", CENTRAL, 46, 'x', 1, false,
	  "another name in its local header" },
	{ "a directory elsewhere", END, 16, 4, 4, false, "overlaps" },
	{ "a comment that is cut", END, 20, 1, 2, false, "does not end like" },
};

static void what_does_not_agree_is_refused(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
		struct error err = ERROR_INIT;
		struct member member;
		struct zip zip;
		size_t places[3];

		print_message("case: %s\n", bad[i].name);
		build(&zip, (struct zip_member[]){ packed_run }, 1);
		places[LOCAL] = zip.local[0];
		places[CENTRAL] = zip.central[0];
		places[END] = zip.end;
		zip_set(&zip, places[bad[i].place] + bad[i].at, bad[i].value,
			bad[i].bytes);

		assert_int_equal(read_in_pieces(&zip, 1000, &memory, &member, &err), -1);
		if (!strstr(err.text, bad[i].text))
			fail_msg("%s", err.text);
		assert_int_equal(err.code, ERROR_INTEGRITY);
		assert_int_equal(err.errnum, bad[i].pass ? BUNDLE_STREAM_NOT : 0);
	}
}

static void a_descriptor_that_says_something_else_is_left_to_the_other_way(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	struct zip_member member = described(packed_run, 16);
	struct error err = ERROR_INIT;
	struct member taken;
	struct zip zip;

	(void)state;
	member.crc = 1;
	build(&zip, &member, 1);

	assert_int_equal(read_in_pieces(&zip, 1000, &memory, &taken, &err), -1);
	assert_int_equal(err.errnum, BUNDLE_STREAM_NOT);
}

static void only_the_first_kind_is_taken_on_trust(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	struct zip_member deb = stored_run, twin = stored_run;
	struct error err = ERROR_INIT;
	struct member member;
	struct zip zip;

	(void)state;
	deb.name = DEB;
	build(&zip, (struct zip_member[]){ deb, packed_run }, 2);
	assert_hello(&zip);

	build(&zip, (struct zip_member[]){ deb }, 1);
	assert_int_equal(read_in_pieces(&zip, 1000, &memory, &member, &err), -1);
	assert_int_equal(err.errnum, BUNDLE_STREAM_NOT);
	assert_null(memory.data);

	twin.name = "NVIDIA-Linux-x86_64-525.105.17-grid.run";
	build(&zip, (struct zip_member[]){ twin, packed_run }, 2);
	sink_memory_done(&memory);
	assert_int_equal(read_in_pieces(&zip, 1000, &memory, &member, &err), -1);
	assert_non_null(strstr(err.text, "holds more than one driver that fits"));
}

static void a_cut_anywhere_is_no_archive(void **state)
{
	struct zip whole, zip;

	(void)state;
	build(&whole, (struct zip_member[]){ folder, described(packed_run, 16) }, 2);
	for (size_t size = 0; size < whole.size; size++) {
		cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
		struct error err = ERROR_INIT;
		struct member member;

		zip = whole;
		zip.size = size;
		assert_int_equal(read_in_pieces(&zip, 1000, &memory, &member, &err), -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_member_is_taken_from_pieces_of_any_size),
		cmocka_unit_test(every_form_of_a_data_descriptor_is_passed),
		cmocka_unit_test(a_restart_forgets_all),
		cmocka_unit_test(what_does_not_agree_is_refused),
		cmocka_unit_test(
			a_descriptor_that_says_something_else_is_left_to_the_other_way),
		cmocka_unit_test(only_the_first_kind_is_taken_on_trust),
		cmocka_unit_test(a_cut_anywhere_is_no_archive),
	};

	return cmocka_run_group_tests_name("bundle_stream", tests, NULL, NULL);
}
