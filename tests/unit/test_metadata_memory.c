/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata_memory.h"

#include <string.h>
#include <sys/stat.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define HASH "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void what_was_said_comes_back(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup(metadata_memory_done) struct metadata_memory said = METADATA_MEMORY_INIT;
	cleanup(metadata_memory_done) struct metadata_memory read = METADATA_MEMORY_INIT;
	struct error err = ERROR_INIT;
	struct stat before, after;

	said.known = true;
	said.object = json_build("{s:{s:i}}", "license", "feature_type", 2);
	strcpy(said.token, HASH);
	assert_int_equal(metadata_memory_write(&sysroot->root, &said, &err), 0);
	assert_true(root_stat(&sysroot->root, PATHS_METADATA, &before));
	assert_int_equal(before.st_mode & 07777, 0600);

	metadata_memory_read(&sysroot->root, &read);
	assert_true(read.known);
	assert_string_equal(read.token, HASH);
	assert_int_equal(
		json_get_int(json_get(read.object, "license"), "feature_type", 0), 2);

	/* The same once more is no change of the disk. */
	assert_int_equal(metadata_memory_write(&sysroot->root, &said, &err), 0);
	assert_true(root_stat(&sysroot->root, PATHS_METADATA, &after));
	assert_int_equal(before.st_ino, after.st_ino);
}

static void one_that_is_damaged_is_none(void **state)
{
	static const struct {
		const char *text;
		bool known, object;
	} cases[] = {
		{ "", false, false },
		{ "{", false, false },
		{ "[]", false, false },
		{ "{\"schema\":2,\"object\":{}}", false, false },
		{ "{\"schema\":1,\"object\":[]}", true, false },
		{ "{\"schema\":1,\"object\":null,\"token_sha256\":\"x\"}", true, false },
		{ "{\"schema\":1,\"object\":{},\"token_sha256\":7}", true, true },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(root_mkdir(&sysroot->root, PATHS_STATE, 0755, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(metadata_memory_done) struct metadata_memory read =
			METADATA_MEMORY_INIT;

		sysroot_write(sysroot, PATHS_METADATA, cases[i].text);
		metadata_memory_read(&sysroot->root, &read);
		assert_int_equal(read.known, cases[i].known);
		assert_int_equal(read.object != NULL, cases[i].object);
		assert_string_equal(read.token, "");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_was_said_comes_back),
		TEST(one_that_is_damaged_is_none),
	};

	return cmocka_run_group_tests_name("metadata_memory", tests, NULL, NULL);
}
