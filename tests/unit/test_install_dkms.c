/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/install/install.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/kernel/dkms.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define VERSION "550.90.07"
#define CONF PATHS_DKMS_SOURCES VERSION "/dkms.conf"
#define OURS "/lib/modules/" REL "/updates/vgpu-guest-agent"
#define ORIGINAL PATHS_DKMS_REGISTRY "/original_module/" REL
#define DKMS "/usr/sbin/dkms "
#define OF " -m nvidia -v " VERSION " -k " REL
#define INSTALLED "nvidia/" VERSION ", " REL ", x86_64: installed\n"
#define MODINFO "/usr/sbin/modinfo -k " REL " -F "

static const struct install_dkms input = { .version = VERSION, .release = REL };

static const struct script_answer working[] = {
	{ .match = DKMS "status" OF "\n",
	  .output = "nvidia/" VERSION ", " REL ", x86_64: built\n",
	  .times = 1 },
	{ .match = DKMS "status" OF "\n", .output = INSTALLED },
	{ .match = DKMS "install" OF " --force\n" },
	{ .match = "/usr/sbin/depmod " REL "\n" },
	{ .match = MODINFO "version nvidia\n", .output = VERSION "\n" },
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
	add_program(*state, "/usr/sbin/dkms");
	add_program(*state, "/usr/sbin/depmod");
	add_program(*state, "/usr/sbin/modinfo");
	sysroot_mkdir(*state, PATHS_DKMS_SOURCES VERSION);
	sysroot_write(*state, CONF, "# ours\n");
	sysroot_mkdir(*state, "/lib/modules/" REL);
	return 0;
}

static int install(const struct sysroot *sysroot, struct script *script,
		   bool *ret_changed, struct error *err)
{
	*err = ERROR_INIT;
	return install_dkms(&script->runner, &sysroot->root, &input, ret_changed, err);
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static void dkms_installs_and_from_now_on_builds_for_new_kernels(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, NULL);

	assert_int_equal(install(*state, &script, &changed, &err), 0);

	assert_true(changed);
	assert_int_equal(script_count(&script, "dkms install"), 1);
	sysroot_assert_text(*state, CONF, "# ours\n" DKMS_LIVE);
}

static void the_same_again_does_nothing(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, NULL);
	assert_int_equal(install(*state, &script, &changed, &err), 0);

	assert_int_equal(install(*state, &script, &changed, &err), 0);

	assert_false(changed);
	assert_int_equal(script_count(&script, "dkms install"), 1);
	sysroot_assert_text(*state, CONF, "# ours\n" DKMS_LIVE);
}

/* Also where DKMS has moved a module of ours away to bring it back one day. */
static void the_agents_own_modules_go_when_dkmss_are_there(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, &working[1], NULL); /* at once */
	sysroot_mkdir(sysroot, OURS);
	sysroot_write(sysroot, OURS "/nvidia.ko", "ours");
	sysroot_mkdir(sysroot, ORIGINAL "/x86_64");

	assert_int_equal(install(sysroot, &script, &changed, &err), 0);

	assert_true(changed);
	assert_false(is_there(sysroot, OURS));
	assert_false(is_there(sysroot, ORIGINAL));
	assert_int_equal(script_count(&script, "depmod"), 1);
}

static void they_stay_where_dkms_fails(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "dkms status" },
		{ .match = "dkms install",
		  .status = 6,
		  .output = "Error! Installation aborted.\n" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, NULL);
	sysroot_mkdir(sysroot, OURS);

	assert_int_equal(install(sysroot, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text,
			    "dkms: exit status 6: Error! Installation aborted.");
	assert_true(is_there(sysroot, OURS));
}

static void a_dkms_that_ends_well_and_has_done_nothing_is_not_believed(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "dkms status", .output = "nvidia/" VERSION ": added\n" },
		{ .match = "dkms install" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, NULL);
	sysroot_mkdir(sysroot, OURS);

	assert_int_equal(install(sysroot, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, "dkms status"));
	assert_true(is_there(sysroot, OURS));
}

static void another_module_in_the_way_is_named(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "dkms status", .output = INSTALLED },
		{ .match = "dkms install" },
		{ .match = "depmod" },
		{ .match = "-F version", .output = "535.1\n" },
		{ .match = "-F filename",
		  .output = "/lib/modules/" REL "/x/nvidia.ko\n" },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, NULL);

	assert_int_equal(install(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, "/x/nvidia.ko"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(dkms_installs_and_from_now_on_builds_for_new_kernels),
		TEST(the_same_again_does_nothing),
		TEST(the_agents_own_modules_go_when_dkmss_are_there),
		TEST(they_stay_where_dkms_fails),
		TEST(a_dkms_that_ends_well_and_has_done_nothing_is_not_believed),
		TEST(another_module_in_the_way_is_named),
	};

	return cmocka_run_group_tests_name("install_dkms", tests, NULL, NULL);
}
