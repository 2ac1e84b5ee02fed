/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/tar.h"

#include <string.h>

#include "base/run.h"
#include "support/cmocka.h"

#define BYTES_MAX 16384

/* An archive of two members, made by the writer, for tests that change some of it. */
struct made {
	struct sink sink;
	unsigned char bytes[BYTES_MAX];
	size_t size;
};

struct seen {
	struct tar_taker taker;
	struct sink_memory memory;
	char names[128], text[128];
	size_t ends;
};

static int keep(struct sink *sink, const void *data, size_t size, struct error *err)
{
	struct made *made = (struct made *)(void *)sink;

	(void)err;
	assert_true(size <= sizeof(made->bytes) - made->size);
	memcpy(made->bytes + made->size, data, size);
	made->size += size;
	return 0;
}

static void put(struct made *made, const char *name, const char *text)
{
	struct tar_member member = { .size = strlen(text) };
	struct error err = ERROR_INIT;

	(void)snprintf(member.name, sizeof(member.name), "%s", name);
	assert_int_equal(tar_write_head(&made->sink, &member, &err), 0);
	assert_int_equal(sink_write(&made->sink, text, member.size, &err), 0);
	assert_int_equal(tar_write_fill(&made->sink, member.size, &err), 0);
}

static void make(struct made *made)
{
	struct error err = ERROR_INIT;

	*made = (struct made){ .sink = { .write = keep } };
	put(made, "manifest.json", "{}");
	put(made, "modules/nvidia.ko", "some bytes of a module");
	assert_int_equal(tar_write_end(&made->sink, &err), 0);
}

static int begin(struct tar_taker *taker, const struct tar_member *member,
		 struct sink **ret_sink, struct error *err)
{
	struct seen *seen = (struct seen *)(void *)taker;

	(void)err;
	strncat(seen->names, member->name, sizeof(seen->names) - strlen(seen->names) - 1);
	strncat(seen->names, " ", sizeof(seen->names) - strlen(seen->names) - 1);
	*ret_sink = &seen->memory.sink;
	return 0;
}

static int end(struct tar_taker *taker, struct error *err)
{
	(void)err;
	((struct seen *)(void *)taker)->ends++;
	return 0;
}

static int read_all(const struct made *made, size_t piece, struct seen *seen,
		    struct error *err)
{
	struct tar tar;

	*seen = (struct seen){ .taker = { .begin = begin, .end = end } };
	sink_memory_begin(&seen->memory, sizeof(seen->text) - 1);
	tar_begin(&tar, &seen->taker);
	for (size_t at = 0; at < made->size; at += piece) {
		size_t size = made->size - at < piece ? made->size - at : piece;

		if (sink_write(&tar.sink, made->bytes + at, size, err) < 0) {
			sink_memory_done(&seen->memory);
			return -1;
		}
	}
	if (seen->memory.data)
		memcpy(seen->text, seen->memory.data, seen->memory.size);
	sink_memory_done(&seen->memory);
	return tar_end(&tar, err);
}

static void what_was_written_is_read_in_any_pieces(void **state)
{
	static const size_t pieces[] = { 1, 7, 511, 512, 513, BYTES_MAX };
	struct made made;

	(void)state;
	make(&made);

	for (size_t i = 0; i < ARRAY_SIZE(pieces); i++) {
		struct error err = ERROR_INIT;
		struct seen seen;

		assert_int_equal(read_all(&made, pieces[i], &seen, &err), 0);
		assert_string_equal(seen.names, "manifest.json modules/nvidia.ko ");
		assert_string_equal(seen.text, "{}some bytes of a module");
		assert_int_equal(seen.ends, 2);
	}
}

static void an_empty_member_ends_where_it_begins(void **state)
{
	struct made made = { .sink = { .write = keep } };
	struct error err = ERROR_INIT;
	struct seen seen;

	(void)state;
	put(&made, "empty", "");
	assert_int_equal(tar_write_end(&made.sink, &err), 0);

	assert_int_equal(read_all(&made, 512, &seen, &err), 0);
	assert_string_equal(seen.names, "empty ");
	assert_int_equal(seen.ends, 1);
}

/* The checksum of the header at `at`, made right again. */
static void sum(struct made *made, size_t at)
{
	unsigned value = 0;

	memset(made->bytes + at + 148, ' ', 8);
	for (size_t i = 0; i < 512; i++)
		value += made->bytes[at + i];
	(void)snprintf((char *)made->bytes + at + 148, 8, "%06o", value);
}

static void tar_itself_reads_what_was_written(void **state)
{
	char path[] = "/tmp/vgpu-tar-XXXXXX", program[64];
	const char *argv[] = { NULL, "--numeric-owner", "-tvf", path, NULL };
	const struct run run = { .argv = argv, .timeout_s = 20, .output_limit = 4096 };
	cleanup(run_result_done) struct run_result result = { .output = NULL };
	struct runner runner = run_runner(-1);
	struct root root = ROOT_INIT;
	struct error err = ERROR_INIT;
	int fd = mkstemp(path);
	struct made made;

	(void)state;
	make(&made);
	assert_int_equal(root_open("/", &root, &err), 0);
	argv[0] = run_find(&root, "tar", program, sizeof(program));
	assert_non_null(argv[0]);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, made.bytes, made.size), made.size);

	assert_int_equal(run_command(&runner, &root, &run, &result, &err), 0);

	assert_int_equal(result.status, 0);
	assert_non_null(strstr(result.output, "-rw-r--r-- 0/0"));
	assert_non_null(strstr(result.output, "1970-01-01 00:00 manifest.json"));
	root_close(&root);
	(void)close(fd);
	(void)unlink(path);
}

static const struct {
	const char *what, *bytes;
	size_t at, size;
	bool sum; /* the header's checksum is right all the same */
	const char *words;
} bad_heads[] = {
	{ "another magic", "nstar", 257, 5, true, "no tar archive" },
	{ "a wrong checksum", "8", 148, 1, false, "checksum" },
	{ "a changed byte", "X", 0, 1, false, "checksum" },
	{ "a hard link", "1", 156, 1, true, "no regular file" },
	{ "a symbolic link", "2", 156, 1, true, "no regular file" },
	{ "a device", "3", 156, 1, true, "no regular file" },
	{ "a folder", "5", 156, 1, true, "no regular file" },
	{ "a pax header", "x", 156, 1, true, "no regular file" },
	{ "a GNU long name", "L", 156, 1, true, "no regular file" },
	{ "the target of a link", "x", 157, 1, true, "link" },
	{ "a prefix", "/etc", 345, 4, true, "two parts" },
	{ "a way out", "../manifest.x", 0, 13, true, "unsafe" },
	{ "a way out in the middle", "a/../nifest.x", 0, 13, true, "unsafe" },
	{ "an absolute name", "/anifest.json", 0, 13, true, "unsafe" },
	{ "a control character", "\nanifest.json", 0, 13, true, "unsafe" },
	{ "no name", "\0\0\0\0\0\0\0\0\0\0\0\0\0", 0, 13, true, "unsafe" },
	{ "a binary size", "\x80\0\0\0\0\0\0\0\0\0\0\2", 124, 12, true, "no number" },
	{ "a negative size", "-0000000002", 124, 11, true, "no number" },
	{ "a size in decimal", "00000000009", 124, 11, true, "no number" },
};

static void anything_but_plain_files_is_refused(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(bad_heads); i++) {
		struct error err = ERROR_INIT;
		struct made made;
		struct seen seen;

		make(&made);
		memcpy(made.bytes + bad_heads[i].at, bad_heads[i].bytes,
		       bad_heads[i].size);
		if (bad_heads[i].sum)
			sum(&made, 0);

		if (read_all(&made, BYTES_MAX, &seen, &err) == 0 ||
		    !strstr(err.text, bad_heads[i].words))
			fail_msg("%s: %s", bad_heads[i].what, err.text);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

static void a_name_without_end_is_refused(void **state)
{
	struct error err = ERROR_INIT;
	struct made made;
	struct seen seen;

	(void)state;
	make(&made);
	memset(made.bytes, 'a', 100);
	sum(&made, 0);

	assert_int_equal(read_all(&made, BYTES_MAX, &seen, &err), -1);
	assert_non_null(strstr(err.text, "too long"));
}

static void an_archive_cut_off_anywhere_is_refused(void **state)
{
	struct made made;
	size_t whole;

	(void)state;
	make(&made);
	whole = made.size;

	for (made.size = 0; made.size < whole; made.size += 128) {
		struct error err = ERROR_INIT;
		struct seen seen;

		assert_int_equal(read_all(&made, 512, &seen, &err), -1);
		assert_string_equal(err.text, "the archive ends too early");
	}
}

static void nothing_may_follow_the_end(void **state)
{
	struct error err = ERROR_INIT;
	struct made made;
	struct seen seen;

	(void)state;
	make(&made);
	put(&made, "late", "x");

	assert_int_equal(read_all(&made, 512, &seen, &err), -1);
	assert_non_null(strstr(err.text, "after its end"));
}

static void members_are_counted(void **state)
{
	struct made made = { .sink = { .write = keep } };
	struct error err = ERROR_INIT;
	struct seen seen;

	(void)state;
	for (int i = 0; i <= TAR_MEMBERS_MAX; i++)
		put(&made, "a", "");

	assert_int_equal(read_all(&made, 512, &seen, &err), -1);
	assert_string_equal(err.text, "the archive has too many members");
	assert_int_equal(seen.ends, TAR_MEMBERS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_written_is_read_in_any_pieces),
		cmocka_unit_test(an_empty_member_ends_where_it_begins),
		cmocka_unit_test(tar_itself_reads_what_was_written),
		cmocka_unit_test(anything_but_plain_files_is_refused),
		cmocka_unit_test(a_name_without_end_is_refused),
		cmocka_unit_test(an_archive_cut_off_anywhere_is_refused),
		cmocka_unit_test(nothing_may_follow_the_end),
		cmocka_unit_test(members_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
