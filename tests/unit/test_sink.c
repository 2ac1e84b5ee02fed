/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/sink.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "fault/fault.h"
#include "support/cmocka.h"
#include "worker/digest.h"

#define MIB ((size_t)1 << 20)
#define SIZE (2 * MIB + 77)

/* Pieces of no round size, so that they lie across the borders of the buffer. */
static int write_pieces(struct sink *sink, const char *data, size_t size,
			struct error *err)
{
	for (size_t at = 0; at < size;) {
		size_t n = size - at < 16381 ? size - at : 16381;

		if (sink_write(sink, data + at, n, err) < 0)
			return -1;
		at += n;
	}
	return 0;
}

static char *some_data(void)
{
	char *data = malloc(SIZE);

	assert_non_null(data);
	for (size_t i = 0; i < SIZE; i++)
		data[i] = (char)(i * 7 + i / 256);
	return data;
}

static int memory_file(void)
{
	int fd = memfd_create("sink", MFD_CLOEXEC);

	assert_true(fd >= 0);
	return fd;
}

static void assert_holds(int fd, const char *data, size_t size)
{
	cleanup_free char *found = malloc(size + 1);

	assert_non_null(found);
	assert_int_equal(pread(fd, found, size + 1, 0), size);
	assert_memory_equal(found, data, size);
}

static void a_file_gets_every_byte_in_order(void **state)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup_fd int fd = memory_file();
	cleanup_free char *data = some_data();
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
	assert_int_equal(write_pieces(&file.sink, data, SIZE, &err), 0);
	assert_int_equal(file.size, SIZE);
	assert_int_equal(sink_file_end(&file, &err), 0);

	assert_holds(fd, data, SIZE);
}

static void a_file_goes_on_after_what_it_has(void **state)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup_fd int fd = memory_file();
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(write(fd, "abcXYZ", 6), 6);

	assert_int_equal(sink_file_begin(&file, fd, 3, &err), 0);
	assert_int_equal(sink_write(&file.sink, "de", 2, &err), 0);
	assert_int_equal(sink_file_end(&file, &err), 0);

	assert_holds(fd, "abcde", 5);
}

static void a_restart_forgets_what_was_written_and_what_was_not(void **state)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup_fd int fd = memory_file();
	cleanup_free char *data = some_data();
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
	assert_int_equal(write_pieces(&file.sink, data, SIZE, &err), 0);
	assert_int_equal(sink_restart(&file.sink, &err), 0);
	assert_int_equal(sink_write(&file.sink, "new", 3, &err), 0);
	assert_int_equal(sink_file_end(&file, &err), 0);

	assert_int_equal(file.size, 3);
	assert_holds(fd, "new", 3);
}

/* Large pieces go around the buffer, and in the order in which they came. */
static void large_pieces_and_small_ones_keep_their_order(void **state)
{
	static const size_t sizes[] = { 2 * MIB, 3, MIB - 3, MIB, 1, MIB, 5 * MIB / 2 };
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup_fd int fd = memory_file();
	cleanup_free char *data = calloc(9, MIB);
	struct error err = ERROR_INIT;
	size_t at = 0;

	(void)state;
	for (size_t i = 0; i < 9 * MIB; i++)
		data[i] = (char)(i * 7 + i / 256);
	assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		assert_int_equal(sink_write(&file.sink, data + at, sizes[i], &err), 0);
		at += sizes[i];
		assert_int_equal(file.size, at);
	}
	assert_int_equal(sink_file_end(&file, &err), 0);

	assert_int_equal(sink_file_written(&file), at);
	assert_holds(fd, data, at);
}

static void large_pieces_fail_with_every_fault(void **state)
{
	cleanup_free char *data = calloc(2, MIB);
	int nth = 0, result;

	(void)state;
	do {
		cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
		cleanup_fd int fd = memory_file();
		struct error err = ERROR_INIT;

		assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
		fault_arm(++nth);
		result = sink_write(&file.sink, data, 2 * MIB, &err);
		if (result == 0)
			result = sink_file_end(&file, &err);
		assert_int_equal(result, fault_fired() ? -1 : 0);
		fault_arm(0);
	} while (result < 0);

	/* Two writes and the sync. */
	assert_int_equal(nth, 4);
}

static void what_is_reserved_is_not_yet_there(void **state)
{
	cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
	cleanup_fd int fd = memory_file();
	struct error err = ERROR_INIT;
	struct stat st;

	(void)state;
	assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
	assert_int_equal(sink_file_reserve(&file, 5 * MIB, &err), 0);
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 0);
	assert_true(st.st_blocks * 512 >= (off_t)(5 * MIB));
	assert_int_equal(sink_write(&file.sink, "abc", 3, &err), 0);
	assert_int_equal(sink_file_end(&file, &err), 0);

	assert_holds(fd, "abc", 3);
}

/* Break it at every system call in turn: no failure may pass for a whole file. */
static void a_file_fails_with_every_fault(void **state)
{
	cleanup_free char *data = some_data();
	int nth = 0, result;

	(void)state;
	do {
		cleanup(sink_file_done) struct sink_file file = { .fd = -1 };
		cleanup_fd int fd = memory_file();
		struct error err = ERROR_INIT;

		assert_int_equal(sink_file_begin(&file, fd, 0, &err), 0);
		fault_arm(++nth);
		result = write_pieces(&file.sink, data, SIZE, &err);
		if (result == 0)
			result = sink_file_end(&file, &err);
		assert_int_equal(result, fault_fired() ? -1 : 0);
		fault_arm(0);

		if (result < 0)
			assert_int_equal(err.code, ERROR_INTERNAL);
		else
			assert_holds(fd, data, SIZE);
	} while (result < 0);

	/* Four calls can fail: three writes and the sync. */
	assert_int_equal(nth, 5);
}

static void memory_takes_up_to_its_limit(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	struct error err = ERROR_INIT;

	(void)state;
	sink_memory_begin(&memory, 5);
	assert_int_equal(sink_write(&memory.sink, "abc", 3, &err), 0);
	assert_int_equal(sink_write(&memory.sink, "de", 2, &err), 0);
	assert_string_equal(memory.data, "abcde");

	assert_int_equal(sink_write(&memory.sink, "f", 1, &err), -1);
	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_int_equal(memory.size, 5);

	assert_int_equal(sink_restart(&memory.sink, &err), 0);
	assert_int_equal(sink_write(&memory.sink, "xy", 2, &err), 0);
	assert_string_equal(memory.data, "xy");
}

static void what_cannot_begin_anew_says_so(void **state)
{
	struct sink sink = { .restart = NULL };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(sink_restart(&sink, &err), -1);
	assert_int_equal(err.code, ERROR_NETWORK);
}

/* FIPS 180-2, appendix B.1 */
#define ABC "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static void a_digest_is_that_of_the_bytes_after_the_last_restart(void **state)
{
	cleanup(sink_memory_done) struct sink_memory memory = { .data = NULL };
	cleanup(digest_done) struct digest digest = { .context = NULL };
	char hex[DIGEST_TEXT_SIZE];
	struct error err = ERROR_INIT;

	(void)state;
	sink_memory_begin(&memory, 100);
	assert_int_equal(digest_begin(&digest, &memory.sink, &err), 0);
	assert_int_equal(sink_write(&digest.sink, "poison", 6, &err), 0);
	assert_int_equal(sink_restart(&digest.sink, &err), 0);
	assert_int_equal(sink_write(&digest.sink, "ab", 2, &err), 0);
	assert_int_equal(sink_write(&digest.sink, "c", 1, &err), 0);
	assert_int_equal(digest_end(&digest, hex, &err), 0);

	assert_string_equal(hex, ABC);
	assert_int_equal(digest.size, 3);
	assert_string_equal(memory.data, "abc");
}

static void a_digest_goes_on_after_what_a_descriptor_holds(void **state)
{
	cleanup(digest_done) struct digest digest = { .context = NULL };
	cleanup_fd int fd = memory_file();
	char hex[DIGEST_TEXT_SIZE];
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(write(fd, "abX", 3), 3);
	assert_int_equal(digest_begin(&digest, NULL, &err), 0);
	assert_int_equal(digest_read_fd(&digest, fd, 2, &err), 0);
	assert_int_equal(sink_write(&digest.sink, "c", 1, &err), 0);
	assert_int_equal(digest_end(&digest, hex, &err), 0);

	assert_string_equal(hex, ABC);
}

static void a_file_that_shrinks_is_noticed(void **state)
{
	cleanup(digest_done) struct digest digest = { .context = NULL };
	cleanup_fd int fd = memory_file();
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(digest_begin(&digest, NULL, &err), 0);

	assert_int_equal(digest_read_fd(&digest, fd, 4, &err), -1);
	assert_int_equal(err.code, ERROR_INTEGRITY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_gets_every_byte_in_order),
		cmocka_unit_test(a_file_goes_on_after_what_it_has),
		cmocka_unit_test(a_restart_forgets_what_was_written_and_what_was_not),
		cmocka_unit_test(large_pieces_and_small_ones_keep_their_order),
		cmocka_unit_test(large_pieces_fail_with_every_fault),
		cmocka_unit_test(what_is_reserved_is_not_yet_there),
		cmocka_unit_test(a_file_fails_with_every_fault),
		cmocka_unit_test(memory_takes_up_to_its_limit),
		cmocka_unit_test(what_cannot_begin_anew_says_so),
		cmocka_unit_test(a_digest_is_that_of_the_bytes_after_the_last_restart),
		cmocka_unit_test(a_digest_goes_on_after_what_a_descriptor_holds),
		cmocka_unit_test(a_file_that_shrinks_is_noticed),
	};

	return cmocka_run_group_tests_name("sink", tests, NULL, NULL);
}
