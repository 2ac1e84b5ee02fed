/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/driver_files.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define TREE PATHS_CACHE "/tree"
#define RECORD PATHS_GRIDD_STATE "/log"
#define NOTE PATHS_JOURNAL "/driver"
#define HEAD "NVIDIA driver\n" VERSION "\n0\nnvidia\n0\n0\n0\n0\n"
#define VERSION "550.90.07"
#define LIBRARY "/usr/lib64/libcuda.so." VERSION
#define FIRMWARE "/lib/firmware/nvidia/" VERSION "/gsp.bin"
#define OLD "/usr/lib64/libcuda.so.550.54.15"

static const char manifest[] = HEAD "nvidia-smi 0755 UTILITY_BINARY\n"
				    "nvidia-debugdump 0755 UTILITY_BINARY\n"
				    "libcuda.so." VERSION " 0755 CUDA_LIB NATIVE\n"
				    "firmware/gsp.bin 0644 FIRMWARE\n\n";

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct error err = ERROR_INIT;
	bool there;

	assert_int_equal(root_exists(&sysroot->root, path, &there, &err), 0);
	return there;
}

static void put_program(const struct sysroot *sysroot, const char *path)
{
	char full[512];

	sysroot_write(sysroot, path, "#!/bin/sh\n");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static int setup(void **state)
{
	static const char *const folders[] = { "/usr/bin", "/usr/lib64",
					       "/lib/firmware/nvidia/" VERSION,
					       PATHS_GRIDD_STATE, TREE };

	(void)sysroot_setup(state);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		sysroot_mkdir(*state, folders[i]);
	put_program(*state, TREE "/nvidia-installer");
	sysroot_write(*state, TREE "/.manifest", manifest);
	return 0;
}

static void record(const struct sysroot *sysroot, const char *entries)
{
	char text[1024];

	(void)snprintf(text, sizeof(text), "1.0-5509007 (" VERSION ")\nNVIDIA driver\n%s",
		       entries);
	sysroot_write(sysroot, RECORD, text);
}

/* With its worst manners: it ends well, its record is gone, and the files are there. */
static void forget(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;

	(void)run;
	root_discard(&sysroot->root, RECORD);
}

static const struct script_answer answers[] = { { .match = "--uninstall", .act = forget },
						{ 0 } };

static void begin(const struct sysroot *sysroot, struct script *script)
{
	struct error err = ERROR_INIT;

	script_init(script, answers, (void *)(uintptr_t)sysroot);
	if (driver_files_begin(&script->runner, &sysroot->root, TREE, 0, &err) < 0)
		fail_msg("%s", err.text);
}

static bool remove_all(const struct sysroot *sysroot, struct script *script)
{
	struct error err = ERROR_INIT;
	bool changed;

	if (driver_files_remove(&script->runner, &sysroot->root, 0, &changed, &err) < 0)
		fail_msg("%s", err.text);
	return changed;
}

/* Killed as it copied: of these files no record knows. */
static void put_torn(const struct sysroot *sysroot)
{
	sysroot_write(sysroot, "/usr/bin/nvidia-smi", "");
	sysroot_write(sysroot, LIBRARY, "torn");
	sysroot_write(sysroot, FIRMWARE, "torn");
}

static void what_an_installer_that_was_cut_off_left_goes(void **state)
{
	const struct sysroot *sysroot = *state;
	struct script script;

	sysroot_write(sysroot, "/usr/bin/nvidia-debugdump", "somebody else's");
	sysroot_write(sysroot, OLD, "another version");
	begin(sysroot, &script);
	put_torn(sysroot);

	assert_true(remove_all(sysroot, &script));

	assert_false(is_there(sysroot, "/usr/bin/nvidia-smi"));
	assert_false(is_there(sysroot, LIBRARY));
	assert_false(is_there(sysroot, FIRMWARE));
	assert_true(is_there(sysroot, "/usr/bin/nvidia-debugdump"));
	assert_true(is_there(sysroot, OLD));
	assert_false(is_there(sysroot, NOTE));
	assert_false(remove_all(sysroot, &script));
}

/* Else the next installer would keep a torn file as somebody's and bring it back. */
static void what_was_cut_off_goes_before_the_next_one(void **state)
{
	static const struct {
		const char *version;
		bool goes;
	} rows[] = {
		{ NULL, true },         /* there is no record yet */
		{ VERSION, true },      /* it has begun */
		{ "550.54.15", false }, /* the driver before is there still, and works */
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char text[256];
		struct script script;

		root_discard(&sysroot->root, NOTE);
		root_discard(&sysroot->root, RECORD);
		begin(sysroot, &script);
		sysroot_write(sysroot, "/usr/bin/nvidia-smi", "torn, or of before");
		if (rows[i].version) {
			(void)snprintf(text, sizeof(text), "1.0-1 (%s)\nNVIDIA driver\n",
				       rows[i].version);
			sysroot_write(sysroot, RECORD, text);
		}

		begin(sysroot, &script);

		assert_int_equal(is_there(sysroot, "/usr/bin/nvidia-smi"), !rows[i].goes);
		assert_int_equal(script_count(&script, "--uninstall"),
				 rows[i].version && rows[i].goes);
		root_discard(&sysroot->root, "/usr/bin/nvidia-smi");
	}
}

static void what_the_uninstaller_leaves_goes_by_its_own_record(void **state)
{
	static const struct script_answer nothing[] = { { .match = "--uninstall" },
							{ 0 } };
	const struct sysroot *sysroot = *state;
	struct script script;

	begin(sysroot, &script);
	sysroot_write(sysroot, "/usr/bin/nvidia-smi", "ours");
	sysroot_write(sysroot, "/usr/bin/nvidia-persistenced", "brought back");
	record(sysroot, "100: /usr/bin/nvidia-persistenced\n1 0100755 0 0\n"
			"1: /usr/bin/nvidia-smi\n1\n"
			"1: /usr/bin/nvidia-persistenced\n1\n");

	assert_true(remove_all(sysroot, &script));

	assert_false(is_there(sysroot, "/usr/bin/nvidia-smi"));
	assert_true(is_there(sysroot, "/usr/bin/nvidia-persistenced"));
	assert_int_equal(script_count(&script, "--uninstall"), 1);

	/* Nor could it remove the record itself. */
	record(sysroot, "1: /usr/bin/nvidia-smi\n1\n");
	sysroot_write(sysroot, "/usr/bin/nvidia-smi", "ours");
	script_init(&script, nothing, *state);
	assert_true(remove_all(sysroot, &script));
	assert_false(is_there(sysroot, RECORD));
	assert_false(is_there(sysroot, "/usr/bin/nvidia-smi"));
}

static void die(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;

	(void)run;
	root_discard(&sysroot->root, RECORD);
	root_discard(&sysroot->root, "/usr/bin/nvidia-uninstall");
}

/* Killed once its own program and its record were gone, and not all of the files. */
static void one_that_was_cut_off_is_taken_up(void **state)
{
	static const struct script_answer dies[] = {
		{ .match = "--uninstall", .act = die, .signal = 9 }, { 0 }
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	bool changed;

	/* Installed by a version of ours that kept nothing. */
	put_program(sysroot, "/usr/bin/nvidia-uninstall");
	sysroot_write(sysroot, "/usr/bin/nvidia-smi", "ours");
	record(sysroot, "1: /usr/bin/nvidia-smi\n1\n");
	script_init(&script, dies, *state);
	assert_int_equal(
		driver_files_remove(&script.runner, &sysroot->root, 0, &changed, &err),
		-1);
	assert_true(is_there(sysroot, "/usr/bin/nvidia-smi"));

	assert_true(remove_all(sysroot, &script));

	assert_false(is_there(sysroot, "/usr/bin/nvidia-smi"));
	assert_int_equal(script_count(&script, "--uninstall"), 1);
}

/* It goes on past a line that it could not write to its record, and ends well. */
static void what_the_record_lacks_is_known_all_the_same(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	begin(sysroot, &script);
	put_torn(sysroot);
	record(sysroot, "1: " LIBRARY "\n1\n");
	assert_int_equal(driver_files_end(&sysroot->root, &err), 0);
	assert_true(is_there(sysroot, "/usr/bin/nvidia-smi"));

	assert_true(remove_all(sysroot, &script));

	assert_false(is_there(sysroot, "/usr/bin/nvidia-smi"));
	assert_false(is_there(sysroot, FIRMWARE));
}

/* Of the driver before: what its uninstaller could not remove, and what is both's. */
static void an_update_leaves_nothing_of_the_driver_before(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	sysroot_write(sysroot, OLD, "old");
	record(sysroot, "1: " OLD "\n1\n1: /usr/bin/nvidia-smi\n1\n");
	begin(sysroot, &script);
	put_torn(sysroot);
	record(sysroot, "1: " LIBRARY "\n1\n");

	assert_int_equal(driver_files_end(&sysroot->root, &err), 0);

	assert_false(is_there(sysroot, OLD));
	assert_true(is_there(sysroot, "/usr/bin/nvidia-smi"));
	assert_true(is_there(sysroot, LIBRARY));
	assert_false(is_there(sysroot, NOTE));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_an_installer_that_was_cut_off_left_goes),
		TEST(what_was_cut_off_goes_before_the_next_one),
		TEST(what_the_uninstaller_leaves_goes_by_its_own_record),
		TEST(one_that_was_cut_off_is_taken_up),
		TEST(what_the_record_lacks_is_known_all_the_same),
		TEST(an_update_leaves_nothing_of_the_driver_before),
	};

	return cmocka_run_group_tests_name("driver_files", tests, NULL, NULL);
}
