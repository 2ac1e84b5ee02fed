/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/install/remove.h"

#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "fault/fault.h"
#include "model/license/token.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define CONF "/etc/nvidia/gridd.conf"
#define BACKUP "/var/lib/vgpu-guest-agent/backup"
#define UNIT_DIR "/usr/lib/systemd/system"
#define UNIT UNIT_DIR "/nvidia-gridd.service"
#define WANTS "/etc/systemd/system/multi-user.target.wants"
#define OURS "# Written by vgpu-guest-agent, because the driver's package left no unit.\n"

static int setup(void **state)
{
	static const char *const folders[] = {
		"/etc/nvidia", PATHS_TOKENS, BACKUP "/tokens", UNIT_DIR,
		WANTS,         "/usr/bin",   "/usr/sbin",      "/etc/modprobe.d"
	};

	(void)sysroot_setup(state);
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++)
		sysroot_mkdir(*state, folders[i]);
	return 0;
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static void write_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "#!/bin/sh\n");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static void gridd_conf_is_as_it_was(void **state)
{
	static const struct {
		const char *backup, *now;
		bool written;
		const char *expected; /* NULL: none */
		bool changed;
	} cases[] = {
		{ "before\n", "after\n", true, "before\n", true },
		{ "before\n", NULL, true, "before\n", true },
		{ NULL, "ours\n", true, NULL, true },
		{ NULL, "others'\n", false, "others'\n", false },
		{ NULL, NULL, true, NULL, false },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		const char *what = NULL;
		bool changed;

		root_discard(&sysroot->root, CONF);
		root_discard(&sysroot->root, BACKUP "/gridd.conf");
		if (cases[i].backup)
			sysroot_write(sysroot, BACKUP "/gridd.conf", cases[i].backup);
		if (cases[i].now)
			sysroot_write(sysroot, CONF, cases[i].now);

		assert_int_equal(remove_configuration(&sysroot->root, cases[i].written,
						      &changed, &what, &err),
				 0);
		assert_int_equal(changed, cases[i].changed);
		assert_non_null(what);
		/* Cut off before the state is gone, it is done once more. */
		assert_int_equal(remove_configuration(&sysroot->root, cases[i].written,
						      &changed, &what, &err),
				 0);
		assert_false(changed);
		if (cases[i].expected)
			sysroot_assert_text(sysroot, CONF, cases[i].expected);
		else
			assert_false(is_there(sysroot, CONF));
	}
}

/* Cut off anywhere, the next time ends it. */
static void the_original_is_never_lost(void **state)
{
	const struct sysroot *sysroot = *state;
	bool fired = true;

	for (int nth = 1; fired; nth++) {
		struct error err = ERROR_INIT;
		const char *what;
		bool changed;
		int result;

		sysroot_write(sysroot, BACKUP "/gridd.conf", "before\n");
		sysroot_write(sysroot, CONF, "after\n");
		fault_arm(nth);
		result =
			remove_configuration(&sysroot->root, true, &changed, &what, &err);
		fired = fault_fired();
		fault_arm(0);
		assert_int_equal(result, fired ? -1 : 0);

		if (result < 0)
			assert_int_equal(remove_configuration(&sysroot->root, true,
							      &changed, &what, &err),
					 0);
		sysroot_assert_text(sysroot, CONF, "before\n");
	}
}

static void our_token_goes_and_others_come_back(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	bool changed;

	sysroot_write(sysroot, PATHS_TOKEN, "ours");
	sysroot_write(sysroot, BACKUP "/tokens/former.tok", "old");
	sysroot_write(sysroot, BACKUP "/tokens/former.tok.1", "older");
	sysroot_write(sysroot, BACKUP "/tokens/rejected.tok", "tried in vain");
	sysroot_write(sysroot, BACKUP "/tokens/theirs.tok", "theirs");
	sysroot_write(sysroot, BACKUP "/tokens/theirs.tok.1", "another of that name");

	assert_int_equal(remove_token(&sysroot->root, PATHS_TOKENS, true, &changed, &err),
			 0);
	assert_true(changed);
	sysroot_assert_entries(sysroot, PATHS_TOKENS, 1);
	sysroot_assert_text(sysroot, PATHS_TOKENS "/theirs.tok", "theirs");

	assert_int_equal(remove_token(&sysroot->root, PATHS_TOKENS, true, &changed, &err),
			 0);
	assert_false(changed);
}

static void modules_of_every_kernel_go(void **state)
{
	static const struct script_answer answers[] = { { .match = "depmod" }, { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	bool changed;

	write_program(sysroot, "/usr/sbin/depmod");
	sysroot_mkdir(sysroot, "/lib/modules/6.1.0-1/updates/vgpu-guest-agent");
	sysroot_mkdir(sysroot, "/lib/modules/6.1.0-2/updates/vgpu-guest-agent");
	sysroot_mkdir(sysroot, "/lib/modules/6.1.0-3/updates/dkms");
	sysroot_write(sysroot, "/lib/modules/6.1.0-1/updates/vgpu-guest-agent/nvidia.ko",
		      "");
	script_init(&script, answers, NULL);

	assert_int_equal(remove_modules(&script.runner, &sysroot->root, &changed, &err),
			 0);
	assert_true(changed);
	assert_false(is_there(sysroot, "/lib/modules/6.1.0-1/updates/vgpu-guest-agent"));
	assert_false(is_there(sysroot, "/lib/modules/6.1.0-2/updates/vgpu-guest-agent"));
	assert_true(is_there(sysroot, "/lib/modules/6.1.0-3/updates/dkms"));
	assert_int_equal(script_count(&script, "depmod 6.1.0-1"), 1);
	assert_int_equal(script_count(&script, "depmod 6.1.0-3"), 0);

	assert_int_equal(remove_modules(&script.runner, &sysroot->root, &changed, &err),
			 0);
	assert_false(changed);
	assert_int_equal(script_count(&script, "depmod"), 2);
}

static void only_a_unit_of_ours_goes(void **state)
{
	static const struct {
		const char *text;
		bool stays;
	} cases[] = { { OURS "[Unit]\n", false }, { "[Unit]\n", true } };
	static const struct script_answer none[] = { { 0 } };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct script script;
		char link[256];
		bool changed;

		sysroot_write(sysroot, UNIT, cases[i].text);
		(void)snprintf(link, sizeof(link), "%s" WANTS "/nvidia-gridd.service",
			       sysroot->dir);
		assert_int_equal(symlink(UNIT, link), 0);
		script_init(&script, none, NULL);

		assert_int_equal(
			remove_files(&script.runner, &sysroot->root, &changed, &err), 0);
		assert_int_equal(changed, !cases[i].stays);
		assert_int_equal(is_there(sysroot, UNIT), cases[i].stays);
		assert_int_equal(is_there(sysroot, WANTS "/nvidia-gridd.service"),
				 cases[i].stays);
	}
}

/* Of a run that was killed as it wrote, and that never ran again. */
static void half_written_files_go_too(void **state)
{
	static const char *const rows[] = {
		"/etc/modprobe.d/.vgpu-guest-agent.conf.vgpu-new",
		UNIT_DIR "/.nvidia-gridd.service.vgpu-new",
	};
	static const struct script_answer none[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	bool changed;

	script_init(&script, none, NULL);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		sysroot_write(sysroot, rows[i], "half");

	assert_int_equal(remove_files(&script.runner, &sysroot->root, &changed, &err), 0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_false(is_there(sysroot, rows[i]));
}

static void vanish(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;

	(void)run;
	root_discard(&sysroot->root, "/usr/bin/nvidia-smi");
	root_discard(&sysroot->root, "/usr/bin/nvidia-uninstall");
}

static void a_driver_goes_the_way_it_came(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "dpkg-query -S",
		  .times = 1,
		  .output = "nvidia-linux-grid-550: /usr/bin/nvidia-smi\n" },
		{ .match = "dpkg-query -S", .status = 1, .output = "no path found" },
		{ .match = "nvidia-linux-grid-*", .status = 1, .output = "none found" },
		{ .match = "dpkg-query --show", .output = "install ok installed" },
		{ .match = "rpm -q", .output = "nvidia-linux-grid-550\n" },
		{ .match = "", .act = vanish },
		{ 0 },
	};
	static const struct {
		enum package_kind kind;
		const char *command;
	} cases[] = {
		{ PACKAGE_RUN, "/nvidia-installer --uninstall --silent" },
		{ PACKAGE_DEB, "remove nvidia-linux-grid-550\n" },
		{ PACKAGE_RPM, "/usr/bin/dnf -y --setopt=exit_on_lock=True remove "
			       "nvidia-linux-grid-550\n" },
	};
	const struct sysroot *sysroot = *state;

	write_program(sysroot, "/usr/bin/dnf");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct script script;
		bool changed;

		write_program(sysroot, "/usr/bin/nvidia-smi");
		write_program(sysroot, "/usr/bin/nvidia-uninstall");
		script_init(&script, answers, *state);
		assert_int_equal(remove_driver(&script.runner, &sysroot->root,
					       &(struct driver){ .kind = cases[i].kind },
					       0, &changed, &err),
				 0);
		assert_true(changed);
		assert_int_equal(script_count(&script, cases[i].command), 1);

		assert_int_equal(remove_driver(&script.runner, &sysroot->root,
					       &(struct driver){ .kind = cases[i].kind },
					       0, &changed, &err),
				 0);
		assert_false(changed);
	}
}

/*
 * Whatever of a .deb is there goes, also where nvidia-smi is not: dpkg refuses to remove
 * half a package, and apt to do anything at all as long as there is one.
 */
static void half_a_package_is_made_whole_and_goes(void **state)
{
	static const char kept[] = "/kept.deb";
	static const struct {
		const char *path, *status;
		bool is_listed, unpacks, removes;
	} rows[] = {
		{ kept, "install reinstreq half-installed", false, true, true },
		{ kept, "install ok half-installed", true, true, true },
		{ kept, "install reinstreq unpacked", true, true, true },
		{ "", "deinstall ok half-installed", true, false, true },
		{ "", "deinstall ok half-installed", false, false, true },
		{ kept, "install ok half-configured", true, false, true },
		{ kept, "deinstall ok config-files", false, false, false },
		{ kept, "unknown ok not-installed", false, false, false },
	};
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, kept, "a package");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct script_answer answers[] = {
			{ .match = "dpkg-deb --field /kept.deb Package",
			  .output = "nvidia-linux-grid-550\n" },
			{ .match = "dpkg-query -S",
			  .status = !rows[i].is_listed,
			  .output = "nvidia-linux-grid-550: /usr/bin/nvidia-smi\n" },
			{ .match = "nvidia-linux-grid-*",
			  .output = "nvidia-linux-grid-550\n" },
			{ .match = "dpkg-query --show", .output = rows[i].status },
			{ .match = "" },
			{ 0 },
		};
		struct driver driver = { .kind = PACKAGE_DEB };
		struct error err = ERROR_INIT;
		struct script script;
		bool changed;

		(void)text_copy(driver.path, sizeof(driver.path), rows[i].path);
		script_init(&script, answers, *state);
		assert_int_equal(remove_driver(&script.runner, &sysroot->root, &driver, 0,
					       &changed, &err),
				 0);
		assert_int_equal(changed, rows[i].removes);
		assert_int_equal(script_count(&script, "--unpack /kept.deb\n"),
				 rows[i].unpacks);
		assert_int_equal(script_count(&script, "remove nvidia-linux-grid-550\n"),
				 rows[i].removes);
	}
}

static void a_driver_that_stays_is_an_error(void **state)
{
	static const struct script_answer answers[][2] = {
		{ { .match = "", .output = "ERROR: no" }, { 0 } },
		{ { .match = "", .output = "ERROR: no", .status = 1 }, { 0 } },
	};
	static const char *const words[] = { "still there", "ERROR: no" };
	const struct sysroot *sysroot = *state;

	write_program(sysroot, "/usr/bin/nvidia-smi");
	write_program(sysroot, "/usr/bin/nvidia-uninstall");
	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct error err = ERROR_INIT;
		struct script script;
		bool changed;

		script_init(&script, answers[i], NULL);
		assert_int_equal(remove_driver(&script.runner, &sysroot->root,
					       &(struct driver){ .kind = PACKAGE_RUN }, 0,
					       &changed, &err),
				 -1);
		assert_int_equal(err.code, ERROR_INSTALL);
		assert_non_null(strstr(err.text, words[i]));
	}
}

static void what_is_in_use_stays_loaded_and_is_told(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "rmmod nvidia_uvm", .status = 1, .output = "in use" },
		{ .match = "rmmod" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	bool gone = true;

	write_program(sysroot, "/usr/sbin/rmmod");
	sysroot_mkdir(sysroot, "/sys/module/nvidia");
	sysroot_mkdir(sysroot, "/sys/module/nvidia_uvm");
	sysroot_write(sysroot, "/sys/module/nvidia/initstate", "live\n");
	sysroot_write(sysroot, "/sys/module/nvidia_uvm/initstate", "live\n");
	script_init(&script, answers, NULL);

	assert_int_equal(remove_loaded(&script.runner, &sysroot->root, &gone, &err), 0);
	assert_false(gone);
	assert_int_equal(script_count(&script, "rmmod"), 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gridd_conf_is_as_it_was),
		TEST(the_original_is_never_lost),
		TEST(our_token_goes_and_others_come_back),
		TEST(modules_of_every_kernel_go),
		TEST(only_a_unit_of_ours_goes),
		TEST(half_written_files_go_too),
		TEST(a_driver_goes_the_way_it_came),
		TEST(half_a_package_is_made_whole_and_goes),
		TEST(a_driver_that_stays_is_an_error),
		TEST(what_is_in_use_stays_loaded_and_is_told),
	};

	return cmocka_run_group_tests_name("remove", tests, NULL, NULL);
}
