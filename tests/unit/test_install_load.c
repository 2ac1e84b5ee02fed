/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/install.h"

#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define OLD "470.63.01"
#define NEW "525.105.17"

static bool is_loaded(const struct sysroot *sysroot, const char *module)
{
	char path[128];
	struct stat st;

	(void)snprintf(path, sizeof(path), "/sys/module/%s/initstate", module);
	return root_stat(&sysroot->root, path, &st);
}

static void write_value(const struct sysroot *sysroot, const char *module,
			const char *name, const char *value)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/module/%s/%s", module, name);
	sysroot_write(sysroot, path, value);
}

static void add_module(const struct sysroot *sysroot, const char *module,
		       const char *version)
{
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/module/%s/holders", module);
	sysroot_mkdir(sysroot, path);
	write_value(sysroot, module, "initstate", "live\n");
	write_value(sysroot, module, "refcnt", "0\n");
	if (version)
		write_value(sysroot, module, "version", version);
}

/* nvidia with nvidia_uvm on top, as a driver in use by nobody looks. */
static void add_driver(const struct sysroot *sysroot, const char *version)
{
	add_module(sysroot, "nvidia", version);
	add_module(sysroot, "nvidia_uvm", NULL);
	sysroot_mkdir(sysroot, "/sys/module/nvidia/holders/nvidia_uvm");
	write_value(sysroot, "nvidia", "refcnt", "1\n");
}

static void do_rmmod(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;
	struct error err = ERROR_INIT;
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/module/%s", run->argv[1]);
	assert_int_equal(root_remove_tree(&sysroot->root, path, &err), 0);
}

static void do_modprobe(struct script *script, const struct run *run)
{
	if (strcmp(run->argv[1], "nvidia") != 0)
		add_module(script->context, "nvidia_uvm", NULL);
	else if (!is_loaded(script->context, "nvidia"))
		add_module(script->context, "nvidia", NEW "\n");
}

static int setup(void **state)
{
	static const char *const programs[] = { "modprobe", "rmmod", "systemctl", "dd" };

	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_mkdir(*state, "/sys/module");
	for (size_t i = 0; i < ARRAY_SIZE(programs); i++) {
		const struct sysroot *sysroot = *state;
		char path[128];

		(void)snprintf(path, sizeof(path), "/usr/bin/%s", programs[i]);
		sysroot_write(sysroot, path, "");
		(void)snprintf(path, sizeof(path), "%s/usr/bin/%s", sysroot->dir,
			       programs[i]);
		assert_int_equal(chmod(path, 0755), 0);
	}
	return 0;
}

static int load(const struct sysroot *sysroot, struct script *script, bool *ret_changed,
		struct error *err)
{
	*err = ERROR_INIT;
	return install_load(&script->runner, &sysroot->root, NEW, ret_changed, err);
}

/* A signal that has come must not keep them from starting. */
static void do_start(struct script *script, const struct run *run)
{
	(void)run;
	assert_int_equal(script->runner.cancel_fd, -1);
}

static const struct script_answer working[] = {
	{ .match = "/usr/bin/rmmod ", .act = do_rmmod },
	{ .match = "/usr/bin/modprobe ", .act = do_modprobe },
	{ .match = "systemctl is-active nvidia-gridd.service\n" },
	{ .match = "systemctl is-active ", .status = 3 },
	{ .match = "systemctl stop nvidia-gridd.service\n" },
	{ .match = "systemctl --no-block start nvidia-gridd.service\n", .act = do_start },
	{ 0 },
};

static void a_fresh_guest_gets_both_modules(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, *state);

	assert_int_equal(load(*state, &script, &changed, &err), 0);

	assert_true(changed);
	assert_string_equal(script.log,
			    "/usr/bin/modprobe nvidia\n/usr/bin/modprobe nvidia-uvm\n");
}

static void the_right_version_is_left_alone(void **state)
{
	struct error err;
	struct script script;
	bool changed = true;

	script_init(&script, working, *state);
	add_driver(*state, NEW "\n");

	assert_int_equal(load(*state, &script, &changed, &err), 0);

	assert_false(changed);
	assert_string_equal(script.log, "");
}

static void a_missing_uvm_is_added_to_the_right_version(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, *state);
	add_module(*state, "nvidia", NEW "\n");

	assert_int_equal(load(*state, &script, &changed, &err), 0);

	assert_true(changed);
	assert_int_equal(script_count(&script, "rmmod"), 0);
	assert_int_equal(script_count(&script, "systemctl"), 0);
}

static void another_version_is_exchanged_with_its_services_stopped(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, *state);
	script.runner.cancel_fd = 0;
	add_driver(*state, OLD "\n");

	if (load(*state, &script, &changed, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(changed);
	assert_int_equal(script.runner.cancel_fd, 0);
	assert_non_null(strstr(script.log, "stop nvidia-gridd.service\n"));
	assert_non_null(strstr(
		script.log, "/usr/bin/rmmod nvidia_uvm\n"
			    "/usr/bin/rmmod nvidia\n"
			    "/usr/bin/modprobe nvidia\n"
			    "/usr/bin/modprobe nvidia-uvm\n"
			    "/usr/bin/systemctl --no-block start nvidia-gridd.service"));
}

/* A process has the device open: nothing is unloaded, gridd runs again, status 14. */
static void a_driver_in_use_stays_whole(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, *state);
	add_driver(*state, OLD "\n");
	write_value(*state, "nvidia", "refcnt", "2\n");

	assert_int_equal(load(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_REBOOT);
	assert_string_equal(err.text, "the module nvidia is in use");
	assert_int_equal(script_count(&script, "rmmod"), 0);
	assert_int_equal(script_count(&script, "start nvidia-gridd"), 1);
	assert_true(is_loaded(*state, "nvidia_uvm"));
}

/* As the kernel does it: a module that something holds does not go. */
static void do_rmmod_unless_held(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;
	struct error err = ERROR_INIT;
	cleanup_strv char **holders = NULL;
	cleanup_strv char **modules = NULL;
	char path[128];

	(void)snprintf(path, sizeof(path), "/sys/module/%s/holders", run->argv[1]);
	assert_int_equal(root_list(&sysroot->root, path, 64, &holders, &err), 0);
	if (holders[0])
		fail_msg("%s is held by %s", run->argv[1], holders[0]);
	do_rmmod(script, run);
	assert_int_equal(root_list(&sysroot->root, "/sys/module", 64, &modules, &err), 0);
	for (char **module = modules; *module; module++) {
		(void)snprintf(path, sizeof(path), "/sys/module/%s/holders/%s", *module,
			       run->argv[1]);
		assert_int_equal(root_remove_tree(&sysroot->root, path, &err), 0);
	}
}

/* Whoever holds it, of others too, and whatever holds that. */
static void all_that_holds_the_driver_goes_before_it(void **state)
{
	static const char *const holders[][2] = {
		{ "gdrdrv", "nvidia" },
		{ "nvidia_fs", "nvidia" },
		{ "ib_peer", "nvidia_fs" },
	};
	static const struct script_answer answers[] = {
		{ .match = "/usr/bin/rmmod ", .act = do_rmmod_unless_held },
		{ .match = "/usr/bin/modprobe nvidia\n", .act = do_modprobe },
		{ .match = "/usr/bin/modprobe nvidia-uvm\n", .act = do_modprobe },
		{ .match = "/usr/bin/modprobe " },
		{ .match = "systemctl is-active ", .status = 3 },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, answers, *state);
	add_driver(sysroot, OLD "\n");
	for (size_t i = 0; i < ARRAY_SIZE(holders); i++) {
		char path[128];

		add_module(sysroot, holders[i][0], NULL);
		(void)snprintf(path, sizeof(path), "/sys/module/%s/holders/%s",
			       holders[i][1], holders[i][0]);
		sysroot_mkdir(sysroot, path);
	}
	write_value(sysroot, "nvidia", "refcnt", "3\n");
	write_value(sysroot, "nvidia_fs", "refcnt", "1\n");

	if (load(sysroot, &script, &changed, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(changed);
	assert_int_equal(script_count(&script, "rmmod"), 5);
	assert_int_equal(script_count(&script, "modprobe gdrdrv"), 1);
	assert_int_equal(script_count(&script, "modprobe ib_peer"), 1);
}

/* Seen before the first one goes. */
static void a_holder_in_use_leaves_everything_where_it_is(void **state)
{
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, working, *state);
	add_driver(*state, OLD "\n");
	add_module(*state, "gdrdrv", NULL);
	sysroot_mkdir(*state, "/sys/module/nvidia/holders/gdrdrv");
	write_value(*state, "nvidia", "refcnt", "2\n");
	write_value(*state, "gdrdrv", "refcnt", "1\n");

	assert_int_equal(load(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_REBOOT);
	assert_string_equal(err.text, "the module gdrdrv is in use");
	assert_int_equal(script_count(&script, "rmmod"), 0);
}

/* The kernel may say no all the same: then what has gone comes back. */
static void what_went_of_a_driver_that_stays_comes_back(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "rmmod nvidia_uvm\n", .act = do_rmmod },
		{ .match = "rmmod nvidia\n",
		  .status = 1,
		  .output = "rmmod: ERROR: Module nvidia is in use\n" },
		{ .match = "modprobe nvidia_uvm\n" },
		{ .match = "is-active", .status = 3 },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, *state);
	add_driver(*state, OLD "\n");

	assert_int_equal(load(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_REBOOT);
	assert_int_equal(script_count(&script, "modprobe nvidia_uvm"), 1);
}

static void a_module_that_does_not_go_needs_a_reboot(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "rmmod",
		  .status = 1,
		  .output = "rmmod: ERROR: Module nvidia_uvm is in use\n" },
		{ .match = "is-active", .status = 3 },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, *state);
	add_driver(*state, OLD "\n");

	assert_int_equal(load(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_REBOOT);
	assert_non_null(strstr(err.text, "nvidia_uvm is in use"));
	assert_int_equal(script_count(&script, "modprobe"), 0);
}

static void the_kernels_refusal_says_what_to_do(void **state)
{
	static const struct {
		const char *output, *hint;
		enum error_code code;
		bool locked_down, timed_out;
	} cases[] = {
		{ "modprobe: ERROR: could not insert 'nvidia': Key was rejected by service\n",
		  "signing.key", ERROR_SECURE_BOOT, false, false },
		{ "modprobe: ERROR: could not insert 'nvidia': Required key not available\n",
		  "signing.key", ERROR_SECURE_BOOT, false, false },
		{ "modprobe: ERROR: could not insert 'nvidia': Operation not permitted\n",
		  "signing.key", ERROR_SECURE_BOOT, true, false },
		{ "modprobe: ERROR: could not insert 'nvidia': Operation not permitted\n",
		  "kernel's log", ERROR_INSTALL, false, false },
		{ "modprobe: ERROR: could not insert 'nvidia': No such device\n",
		  "supports no GPU", ERROR_INSTALL, false, false },
		{ "", "kernel's log", ERROR_INSTALL, false, true },
	};

	sysroot_mkdir(*state, "/sys/kernel/security");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "modprobe nvidia\n",
			  .status = 1,
			  .timed_out = cases[i].timed_out,
			  .output = cases[i].output },
			{ 0 },
		};
		struct error err;
		struct script script;
		bool changed;

		sysroot_write(*state, "/sys/kernel/security/lockdown",
			      cases[i].locked_down
				      ? "none [integrity] confidentiality\n"
				      : "[none] integrity confidentiality\n");
		script_init(&script, answers, *state);
		assert_int_equal(load(*state, &script, &changed, &err), -1);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.hint, cases[i].hint));
		if (cases[i].timed_out)
			assert_non_null(strstr(err.text, "no end after"));
	}
}

static void a_wrong_module_of_that_name_is_noticed(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "modprobe", .act = do_modprobe }, { 0 }
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	bool changed;

	script_init(&script, answers, *state);

	assert_int_equal(
		install_load(&script.runner, &sysroot->root, OLD, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text,
			    "modprobe has loaded driver " NEW " instead of " OLD);
}

static void nouveau_is_unbound_and_unloaded(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/usr/bin/dd if=/proc/self/fd/3 "
			   "of=/sys/bus/pci/drivers/nouveau/unbind status=none\n" },
		{ .match = "rmmod nouveau\n", .act = do_rmmod },
		{ .match = "modprobe", .act = do_modprobe },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, answers, *state);
	add_module(*state, "nouveau", NULL);
	sysroot_mkdir(*state, "/sys/bus/pci/drivers/nouveau");
	sysroot_write(*state, "/sys/bus/pci/drivers/nouveau/0000:06:00.0", "");
	sysroot_write(*state, "/sys/bus/pci/drivers/nouveau/new_id", "");

	if (load(*state, &script, &changed, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(changed);
	assert_int_equal(script_count(&script, "/usr/bin/dd"), 1);
	assert_false(is_loaded(*state, "nouveau"));
}

static void a_nouveau_that_stays_needs_a_reboot(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "rmmod nouveau\n",
		  .status = 1,
		  .output = "rmmod: ERROR: Module nouveau is in use\n" },
		{ 0 },
	};
	struct error err;
	struct script script;
	bool changed;

	script_init(&script, answers, *state);
	add_module(*state, "nouveau", NULL);

	assert_int_equal(load(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_REBOOT);
	assert_int_equal(script_count(&script, "modprobe"), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_fresh_guest_gets_both_modules),
		TEST(the_right_version_is_left_alone),
		TEST(a_missing_uvm_is_added_to_the_right_version),
		TEST(another_version_is_exchanged_with_its_services_stopped),
		TEST(a_driver_in_use_stays_whole),
		TEST(all_that_holds_the_driver_goes_before_it),
		TEST(a_holder_in_use_leaves_everything_where_it_is),
		TEST(what_went_of_a_driver_that_stays_comes_back),
		TEST(a_module_that_does_not_go_needs_a_reboot),
		TEST(the_kernels_refusal_says_what_to_do),
		TEST(a_wrong_module_of_that_name_is_noticed),
		TEST(nouveau_is_unbound_and_unloaded),
		TEST(a_nouveau_that_stays_needs_a_reboot),
	};

	return cmocka_run_group_tests_name("install_load", tests, NULL, NULL);
}
