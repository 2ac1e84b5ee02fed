/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/install.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fault/fault.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define BUILT "/built"
#define PLACE "/lib/modules/" REL "/updates/vgpu-guest-agent"
#define OURS PLACE "/nvidia.ko\n"

static const struct kernel kernel = { .release = REL };
static const struct build_result built = {
	.count = 2,
	.modules = { BUILT "/nvidia.ko", BUILT "/nvidia-uvm.ko" },
};

static const struct script_answer working[] = {
	{ .match = "/usr/sbin/depmod " REL "\n" },
	{ .match = "/usr/sbin/modinfo -k " REL " -F filename nvidia\n", .output = OURS },
	{ 0 },
};

static void add_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/sbin");
	add_program(*state, "/usr/sbin/depmod");
	add_program(*state, "/usr/sbin/modinfo");
	sysroot_mkdir(*state, BUILT);
	sysroot_write(*state, BUILT "/nvidia.ko", "new nvidia");
	sysroot_write(*state, BUILT "/nvidia-uvm.ko", "new uvm");
	sysroot_mkdir(*state, PLACE);
	sysroot_write(*state, PLACE "/nvidia.ko", "old nvidia");
	sysroot_write(*state, PLACE "/nvidia-drm.ko", "of another driver");
	return 0;
}

static int install(const struct sysroot *sysroot, struct script *script,
		   bool *ret_changed, struct error *err)
{
	*err = ERROR_INIT;
	return install_modules(&script->runner, &sysroot->root, &kernel, &built,
			       ret_changed, err);
}

static void the_folder_holds_exactly_the_new_ones(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, NULL);

	assert_int_equal(install(sysroot, &script, &changed, &err), 0);

	assert_true(changed);
	sysroot_assert_text(sysroot, PLACE "/nvidia.ko", "new nvidia");
	sysroot_assert_text(sysroot, PLACE "/nvidia-uvm.ko", "new uvm");
	sysroot_assert_entries(sysroot, PLACE, 2);
	assert_int_equal(script_count(&script, "depmod"), 1);
}

static void the_same_again_does_nothing(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, NULL);

	assert_int_equal(install(sysroot, &script, &changed, &err), 0);
	assert_int_equal(install(sysroot, &script, &changed, &err), 0);

	assert_false(changed);
	assert_int_equal(script_count(&script, "depmod"), 1);
}

/* Killed between the copy and depmod: the files are there, the index knows nothing. */
static void a_missing_index_is_made_up_for(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "modinfo",
		  .status = 1,
		  .output = "modinfo: ERROR: Module nvidia not found.\n",
		  .times = 1 },
		{ .match = "modinfo", .output = OURS },
		{ .match = "depmod" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, NULL);
	assert_int_equal(install(sysroot, &script, &changed, &err), 0);
	script_init(&script, answers, NULL);

	assert_int_equal(install(sysroot, &script, &changed, &err), 0);

	assert_true(changed);
	assert_int_equal(script_count(&script, "depmod"), 1);
}

static void another_module_in_the_way_is_named(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "modinfo",
		  .output = "/lib/modules/" REL "/updates/dkms/nvidia.ko\n" },
		{ .match = "depmod" },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, NULL);

	assert_int_equal(install(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, "/updates/dkms/nvidia.ko"));
}

static void depmods_failure_is_an_error(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "modinfo", .output = OURS },
		{ .match = "depmod", .status = 1, .output = "depmod: ERROR: no room\n" },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, NULL);

	assert_int_equal(install(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text, "depmod: exit status 1: depmod: ERROR: no room");
}

/* Whatever fails, each module is the old one or the new one, and a second run mends it.
 * The next run goes by the version of nvidia.ko: where that is new, all are. */
static void every_fault_leaves_whole_modules(void **state)
{
	const struct sysroot *sysroot = *state;
	int nth = 0, result;

	sysroot_write(sysroot, "/old", "old nvidia");
	do {
		struct error err;
		struct script script;
		bool changed;

		script_init(&script, working, NULL);
		sysroot_write(sysroot, PLACE "/nvidia.ko", "old nvidia");
		sysroot_write(sysroot, PLACE "/nvidia-uvm.ko", "old uvm");
		sysroot_write(sysroot, PLACE "/nvidia-drm.ko", "of another driver");
		fault_arm(++nth);
		result = install(sysroot, &script, &changed, &err);
		fault_arm(0);
		assert_true(file_same(&sysroot->root, PLACE "/nvidia.ko", "/old") ||
			    file_same(&sysroot->root, PLACE "/nvidia.ko",
				      BUILT "/nvidia.ko"));
		if (!file_same(&sysroot->root, PLACE "/nvidia.ko", "/old")) {
			sysroot_assert_text(sysroot, PLACE "/nvidia-uvm.ko", "new uvm");
			sysroot_assert_entries(sysroot, PLACE, 2);
		}

		assert_int_equal(install(sysroot, &script, &changed, &err), 0);
		sysroot_assert_text(sysroot, PLACE "/nvidia.ko", "new nvidia");
		sysroot_assert_entries(sysroot, PLACE, 2);
	} while (result < 0);

	assert_true(nth > 4);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_folder_holds_exactly_the_new_ones),
		TEST(the_same_again_does_nothing),
		TEST(a_missing_index_is_made_up_for),
		TEST(another_module_in_the_way_is_named),
		TEST(depmods_failure_is_an_error),
		TEST(every_fault_leaves_whole_modules),
	};

	return cmocka_run_group_tests_name("install_modules", tests, NULL, NULL);
}
