/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/install/remove.h"

#include <string.h>
#include <sys/stat.h>

#include "model/kernel/dkms.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define SIGNING "/etc/dkms/framework.conf.d/vgpu-guest-agent.conf"
#define CONF "# Written by vgpu-guest-agent (driver.dkms = \"yes\").\n"

static const struct script_answer working[] = {
	{ .match = "/usr/sbin/dkms remove -m nvidia -v 550.90.07 --all\n" },
	{ 0 },
};

static void add_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static void register_version(const struct sysroot *sysroot, const char *version,
			     const char *conf)
{
	char path[256];

	(void)snprintf(path, sizeof(path), PATHS_DKMS_SOURCES "%s", version);
	sysroot_mkdir(sysroot, path);
	(void)snprintf(path, sizeof(path), PATHS_DKMS_SOURCES "%s/dkms.conf", version);
	sysroot_write(sysroot, path, conf);
	(void)snprintf(path, sizeof(path), PATHS_DKMS_REGISTRY "/%s/source", version);
	sysroot_mkdir(sysroot, path);
}

/* The old one and the new one of ours, and one of others. */
static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/sbin");
	add_program(*state, "/usr/sbin/dkms");
	sysroot_mkdir(*state, "/proc");
	sysroot_write(*state, "/proc/cpuinfo", "");
	sysroot_mkdir(*state, "/dev/fd");
	register_version(*state, "550.90.07", CONF);
	register_version(*state, "535.1.1", "PACKAGE_NAME=\"nvidia\"\n");
	sysroot_mkdir(*state, "/etc/dkms/framework.conf.d");
	sysroot_write(*state, SIGNING, "mok_signing_key='/k'\n");
	return 0;
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static int remove_it(const struct sysroot *sysroot, struct script *script,
		     const char *keep, bool *ret_changed, struct error *err)
{
	*err = ERROR_INIT;
	return remove_dkms(&script->runner, &sysroot->root, keep, 0, ret_changed, err);
}

static void what_is_ours_goes_and_what_others_registered_stays(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, NULL);

	assert_int_equal(remove_it(sysroot, &script, "", &changed, &err), 0);

	assert_true(changed);
	assert_int_equal(script_count(&script, "dkms remove"), 1);
	assert_false(is_there(sysroot, PATHS_DKMS_SOURCES "550.90.07"));
	assert_false(is_there(sysroot, PATHS_DKMS_REGISTRY "/550.90.07"));
	assert_false(is_there(sysroot, SIGNING));
	assert_true(is_there(sysroot, PATHS_DKMS_SOURCES "535.1.1/dkms.conf"));
	assert_true(is_there(sysroot, PATHS_DKMS_REGISTRY "/535.1.1/source"));
}

static void the_version_that_counts_stays(void **state)
{
	static const struct script_answer none[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = true;

	script_init(&script, none, NULL);

	assert_int_equal(remove_it(sysroot, &script, "550.90.07", &changed, &err), 0);

	assert_false(changed);
	assert_true(is_there(sysroot, PATHS_DKMS_SOURCES "550.90.07/dkms.conf"));
	assert_true(is_there(sysroot, SIGNING));
}

static void what_is_not_registered_needs_no_dkms(void **state)
{
	static const struct script_answer none[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	bool changed = false;

	script_init(&script, none, NULL);
	assert_int_equal(root_remove_tree(&sysroot->root, PATHS_DKMS_REGISTRY, &err), 0);
	assert_int_equal(root_unlink(&sysroot->root, "/usr/sbin/dkms", &err), 0);

	assert_int_equal(remove_it(sysroot, &script, "", &changed, &err), 0);

	assert_true(changed);
	assert_false(is_there(sysroot, PATHS_DKMS_SOURCES "550.90.07"));
}

/* Without its sources nobody would know any more whose the registration is. */
static void where_dkms_cannot_remove_the_sources_stay(void **state)
{
	static const struct script_answer failing[] = {
		{ .match = "dkms remove", .status = 4, .output = "Error! No conf.\n" },
		{ 0 },
	};
	static const char *const needed[] = { "", "/usr/sbin/dkms", "/proc/cpuinfo" };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		struct error err = ERROR_INIT;
		struct script script;
		bool changed;

		script_init(&script, failing, NULL);
		if (needed[i][0])
			assert_int_equal(root_unlink(&sysroot->root, needed[i], &err), 0);
		assert_int_equal(remove_it(sysroot, &script, "", &changed, &err), -1);
		assert_int_equal(script_count(&script, "dkms remove"), needed[i][0] == 0);
		assert_true(is_there(sysroot, PATHS_DKMS_SOURCES "550.90.07/dkms.conf"));
		assert_true(is_there(sysroot, PATHS_DKMS_REGISTRY "/550.90.07/source"));
		add_program(sysroot, "/usr/sbin/dkms");
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_is_ours_goes_and_what_others_registered_stays),
		TEST(the_version_that_counts_stays),
		TEST(what_is_not_registered_needs_no_dkms),
		TEST(where_dkms_cannot_remove_the_sources_stay),
	};

	return cmocka_run_group_tests_name("remove_dkms", tests, NULL, NULL);
}
