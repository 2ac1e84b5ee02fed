/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/inflate.h"

#include <string.h>

#include "support/cmocka.h"

#define HELLO_CRC 0x3610a686u /* of "hello" */

/* "hello" in a stored block, and 4096 zeros in a compressed one. */
static const unsigned char hello[] = { 0x01, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o' };
static const unsigned char zeros[] = { 0xed, 0xc1, 0x01, 0x0d, 0x00, 0x00, 0x00,
				       0xc2, 0xa0, 0xf7, 0x4f, 0x6d, 0x0f, 0x07,
				       0x14, 0x00, 0x00, 0x00, 0xf0, 0x6e };

struct sample {
	const unsigned char *data;
	size_t size;
	bool deflated;
	uint64_t promised;
	uint32_t crc;
};

static int unpack(struct sample sample, size_t piece, struct error *err)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(inflate_done) struct inflate state = { .stream = NULL };

	sink_memory_begin(&memory, 1 << 20);
	assert_int_equal(inflate_begin(&state, sample.deflated, sample.promised,
				       &memory.sink, err),
			 0);
	for (size_t i = 0; i < sample.size; i += piece) {
		size_t n = sample.size - i < piece ? sample.size - i : piece;

		if (sink_write(&state.sink, sample.data + i, n, err) < 0)
			return -1;
	}
	if (inflate_end(&state, sample.crc, err) < 0)
		return -1;
	assert_int_equal(memory.size, sample.promised);
	return 0;
}

static void good_data_comes_through_in_any_pieces(void **state)
{
	(void)state;

	for (size_t piece = 1; piece <= sizeof(hello); piece++) {
		struct sample deflated = { hello, sizeof(hello), true, 5, HELLO_CRC };
		struct sample stored = { hello + 5, 5, false, 5, HELLO_CRC };
		struct error err = ERROR_INIT;

		assert_int_equal(unpack(deflated, piece, &err), 0);
		assert_int_equal(unpack(stored, piece, &err), 0);
	}
}

static const struct {
	const char *name;
	struct sample sample;
	const char *text;
} cases[] = {
	{ "cut",
	  { hello, 9, true, 5, HELLO_CRC },
	  "its data ends before the deflate stream does" },
	{ "nothing at all",
	  { hello, 0, true, 0, 0 },
	  "its data ends before the deflate stream does" },
	{ "bytes after the end",
	  { (const unsigned char *)"\x01\0\0\xff\xff!", 6, true, 0, 0 },
	  "bytes follow the end of its data" },
	{ "another CRC",
	  { hello, 10, true, 5, 1 },
	  "its CRC-32 is 3610a686, not 00000001" },
	{ "shorter than promised",
	  { hello, 10, true, 6, HELLO_CRC },
	  "unpacks to 5 bytes, not to the 6 promised" },
	{ "longer than promised",
	  { hello, 10, true, 4, HELLO_CRC },
	  "unpacks to more than the 4 bytes promised" },
	{ "a bomb",
	  { zeros, sizeof(zeros), true, 16, 0 },
	  "unpacks to more than the 16 bytes promised" },
	{ "no deflate",
	  { (const unsigned char *)"\x07xxx", 4, true, 5, 0 },
	  "its deflated data is damaged (invalid block type)" },
	{ "stored and longer",
	  { hello, 10, false, 5, 0 },
	  "unpacks to more than the 5 bytes promised" },
	{ "stored and shorter",
	  { hello, 4, false, 5, 0 },
	  "unpacks to 4 bytes, not to the 5 promised" },
};

static void bad_data_is_an_integrity_error(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;

		print_message("case: %s\n", cases[i].name);
		assert_int_equal(unpack(cases[i].sample, 3, &err), -1);
		assert_int_equal(err.code, ERROR_INTEGRITY);
		assert_string_equal(err.text, cases[i].text);
	}
}

/*
 * More than what lies between two points, in stored blocks; then an empty block that ends
 * in the middle of a byte, and "hello".
 */
enum { BLOCK_SIZE = 32768, BLOCKS = 256, STORED = BLOCKS * (BLOCK_SIZE + 5) };
static const unsigned char after[] = { 0x02, 0x04, 5,   0,   0xfa, 0xff,
				       'h',  'e',  'l', 'l', 'o' };

static unsigned char *many_blocks(void)
{
	static const unsigned char head[] = { 0, 0, 0x80, 0xff, 0x7f };
	unsigned char *data = calloc(BLOCKS, BLOCK_SIZE + 5);

	assert_non_null(data);
	for (size_t i = 0; i < BLOCKS; i++)
		memcpy(data + i * (BLOCK_SIZE + 5), head, sizeof(head));
	return data;
}

static void another_process_goes_on_at_a_point(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(inflate_done) struct inflate first = { .stream = NULL },
					     second = { .stream = NULL };
	cleanup_free unsigned char *data = many_blocks();
	char window[INFLATE_WINDOW] = { 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(inflate_begin(&first, true, INFLATE_SIZE_UNKNOWN, NULL, &err),
			 0);
	assert_int_equal(sink_write(&first.sink, data, STORED, &err), 0);
	assert_int_equal(sink_write(&first.sink, after, 4, &err), 0);
	assert_int_equal(first.point.in, STORED + 2);
	assert_int_equal(first.point.out, BLOCKS * BLOCK_SIZE);
	assert_int_equal(first.point.bits, 6);
	assert_int_equal(first.point.value, 0x04 >> 2);

	sink_memory_begin(&memory, 100);
	assert_int_equal(
		inflate_begin(&second, true, BLOCKS * BLOCK_SIZE + 5, &memory.sink, &err),
		0);
	assert_int_equal(
		inflate_resume(&second, &first.point, window, sizeof(window), &err), 0);
	assert_int_equal(sink_write(&second.sink, after + 2, sizeof(after) - 2, &err), 0);
	assert_int_equal(inflate_end(&second, 0, &err), 0);
	assert_string_equal(memory.data, "hello");
}

static void a_restart_begins_with_nothing(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(inflate_done) struct inflate inflate = { .stream = NULL };
	struct error err = ERROR_INIT;

	(void)state;
	sink_memory_begin(&memory, 100);
	assert_int_equal(inflate_begin(&inflate, true, 5, &memory.sink, &err), 0);
	assert_int_equal(sink_write(&inflate.sink, hello, 8, &err), 0);
	assert_int_equal(sink_restart(&inflate.sink, &err), 0);
	assert_int_equal(sink_write(&inflate.sink, hello, sizeof(hello), &err), 0);

	assert_int_equal(inflate_end(&inflate, HELLO_CRC, &err), 0);
	assert_int_equal(memory.size, 5);
}

static void the_end_of_data_of_unknown_size_is_found(void **state)
{
	cleanup(inflate_done) struct inflate inflate = { .stream = NULL };
	unsigned char data[sizeof(hello) + 7] = { 0 };
	struct error err = ERROR_INIT;
	size_t used;

	(void)state;
	memcpy(data, hello, sizeof(hello));
	assert_int_equal(inflate_begin(&inflate, true, INFLATE_SIZE_UNKNOWN, NULL, &err),
			 0);

	assert_int_equal(inflate_take(&inflate, data, sizeof(data), &used, &err), 0);

	assert_int_equal(used, sizeof(hello));
	assert_true(inflate.ended);
	assert_int_equal(inflate.done, 5);
	assert_int_equal(inflate.crc, HELLO_CRC);
}

static void a_buffer_that_is_just_full_is_no_end(void **state)
{
	enum { BLOCK = 32768, COUNT = 32 };
	cleanup_free unsigned char *data = calloc(COUNT, BLOCK + 5);
	struct error err = ERROR_INIT;

	(void)state;
	/* Stored blocks that fill the 1 MiB buffer to its last byte. */
	for (int i = 0; i < COUNT; i++) {
		static const unsigned char head[] = { 0, 0, 0x80, 0xff, 0x7f };

		memcpy(data + i * (BLOCK + 5), head, 5);
	}
	data[(COUNT - 1) * (BLOCK + 5)] = 1;

	assert_int_equal(unpack((struct sample){ data, COUNT * (BLOCK + 5), true,
						 COUNT * BLOCK, 0xa738ea1c },
				COUNT * (BLOCK + 5), &err),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_data_comes_through_in_any_pieces),
		cmocka_unit_test(bad_data_is_an_integrity_error),
		cmocka_unit_test(another_process_goes_on_at_a_point),
		cmocka_unit_test(a_restart_begins_with_nothing),
		cmocka_unit_test(the_end_of_data_of_unknown_size_is_found),
		cmocka_unit_test(a_buffer_that_is_just_full_is_no_end),
	};

	return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}
