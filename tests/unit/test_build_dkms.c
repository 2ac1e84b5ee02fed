/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/build/build.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "fault/fault.h"
#include "model/kernel/dkms.h"
#include "steps/build/build_tree.h"
#include "support/cmocka.h"
#include "support/module.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define VERSION "550.90.07"
#define TREE "/tree"
#define SOURCES PATHS_DKMS_SOURCES VERSION
#define ENTRY PATHS_DKMS_REGISTRY "/" VERSION
#define BUILT ENTRY "/" REL "/x86_64/module"
#define SIGNING "/etc/dkms/framework.conf.d/vgpu-guest-agent.conf"
#define DKMS_BUILD "/usr/sbin/dkms build -m nvidia -v " VERSION " -k " REL " -j "

static const struct kernel kernel = { .release = REL, .headers = true };
static const struct build_dkms_key no_key = { .key = "", .cert = "" };

static void add_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

/* What DKMS leaves; libkmod goes by the content, not by the name. */
static struct module made;

static int setup(void **state)
{
	(void)sysroot_setup(state);
	made = (struct module){ REL " SMP preempt mod_unload modversions ", VERSION };
	sysroot_mkdir(*state, "/usr/sbin");
	sysroot_mkdir(*state, "/usr/src");
	add_program(*state, "/usr/sbin/dkms");
	sysroot_mkdir(*state, "/proc");
	sysroot_write(*state, "/proc/cpuinfo", "");
	sysroot_mkdir(*state, "/dev/fd");
	sysroot_mkdir(*state, TREE "/kernel/nvidia");
	sysroot_mkdir(*state, TREE "/kernel/nvidia-uvm");
	sysroot_mkdir(*state, TREE "/kernel-open/nvidia");
	return 0;
}

/* What is in TREE/kernel. */
static void copy(struct script *script, const struct run *run)
{
	const struct sysroot *sysroot = script->context;
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/nvidia", run->argv[4]);
	sysroot_mkdir(sysroot, path);
	(void)snprintf(path, sizeof(path), "%s/nvidia-uvm", run->argv[4]);
	sysroot_mkdir(sysroot, path);
}

static void leave_module(struct script *script, const struct run *run)
{
	(void)run;
	sysroot_mkdir(script->context, BUILT);
	module_write(script->context, BUILT "/nvidia.ko.xz", &made);
}

static void leave_log(struct script *script, const struct run *run)
{
	(void)run;
	sysroot_mkdir(script->context, ENTRY "/build");
	sysroot_write(script->context, ENTRY "/build/make.log",
		      "DKMS make.log\n"
		      "/x/nv.c:7:9: error: 'dog' undeclared\n"
		      "make[1]: *** [nv.o] Error 1\n");
}

static const struct script_answer working[] = {
	{ .match = "/bin/cp ", .act = copy },
	{ .match = DKMS_BUILD, .act = leave_module },
	{ 0 },
};

static int build(const struct sysroot *sysroot, struct script *script,
		 const struct build_dkms_key *key, struct error *err)
{
	const struct build_input input = {
		.tree = TREE,
		.version = VERSION,
		.kernel = &kernel,
		.log_path = "/log",
	};

	*err = ERROR_INIT;
	return build_dkms(&script->runner, &sysroot->root, &input, key, err);
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static void the_sources_lie_where_dkms_looks_and_are_a_tree(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;
	cleanup_free char *conf = NULL;
	char tree[256];
	size_t size;
	bool open = true;

	script_init(&script, working, *state);

	assert_int_equal(build(sysroot, &script, &no_key, &err), 0);

	assert_int_equal(file_read(&sysroot->root, SOURCES "/dkms.conf", 65536, &conf,
				   &size, &err),
			 0);
	assert_non_null(strstr(conf, "BUILT_MODULE_NAME[1]=\"nvidia-uvm\""));
	assert_null(strstr(conf, DKMS_LIVE));
	assert_true(is_there(sysroot, SOURCES "/kernel/nvidia"));
	assert_true(build_tree_kept(&sysroot->root, VERSION, tree, sizeof(tree), &open));
	assert_string_equal(tree, SOURCES);
	assert_false(open);
	sysroot_assert_entries(sysroot, "/usr/src", 1);
}

static void sources_that_are_there_are_not_copied_again(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;

	script_init(&script, working, *state);
	assert_int_equal(build(sysroot, &script, &no_key, &err), 0);

	assert_int_equal(build(sysroot, &script, &no_key, &err), 0);

	assert_int_equal(script_count(&script, "/bin/cp"), 1);
}

static void sources_of_others_are_in_the_way(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;

	script_init(&script, working, *state);
	sysroot_mkdir(sysroot, SOURCES);
	sysroot_write(sysroot, SOURCES "/dkms.conf", "PACKAGE_NAME=\"nvidia\"\n");

	assert_int_equal(build(sysroot, &script, &no_key, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, SOURCES));
	sysroot_assert_text(sysroot, SOURCES "/dkms.conf", "PACKAGE_NAME=\"nvidia\"\n");
	assert_int_equal(script_count(&script, "dkms"), 0);
}

/* dkms would say "already built", or take a truncated module for a whole one. */
static void what_a_killed_build_left_goes_first(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err;
	struct script script;

	script_init(&script, working, *state);
	sysroot_mkdir(sysroot, BUILT);
	sysroot_write(sysroot, BUILT "/nvidia-uvm.ko", "half");

	assert_int_equal(build(sysroot, &script, &no_key, &err), 0);

	sysroot_assert_entries(sysroot, BUILT, 1);
}

static void a_build_that_fails_names_the_first_error_of_make(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp ", .act = copy },
		{ .match = DKMS_BUILD,
		  .act = leave_log,
		  .status = 10,
		  .output = "Error! Bad return status for module build\n" },
		{ 0 },
	};
	struct error err;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(build(*state, &script, &no_key, &err), -1);

	assert_int_equal(err.code, ERROR_BUILD);
	assert_non_null(strstr(err.text, "exit status 10"));
	assert_non_null(strstr(err.text, "nv.c:7:9: error: 'dog' undeclared"));
	assert_non_null(strstr(err.hint, "/log"));
}

static void what_dkms_lacks_is_a_prerequisite(void **state)
{
	static const int statuses[] = { 13, 21 };

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		const struct script_answer answers[] = {
			{ .match = "/bin/cp ", .act = copy },
			{ .match = DKMS_BUILD,
			  .status = statuses[i],
			  .output = "Error! Your kernel headers cannot be found\n" },
			{ 0 },
		};
		struct error err;
		struct script script;

		script_init(&script, answers, *state);
		assert_int_equal(build(*state, &script, &no_key, &err), -1);
		assert_int_equal(err.code, ERROR_PREREQUISITES);
		assert_non_null(strstr(err.text, "kernel headers cannot be found"));
	}
}

static void a_dkms_that_ends_well_without_a_module_is_not_believed(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp ", .act = copy },
		{ .match = DKMS_BUILD },
		{ 0 },
	};
	struct error err;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(build(*state, &script, &no_key, &err), -1);

	assert_int_equal(err.code, ERROR_BUILD);
}

static void a_module_for_another_kernel_is_not_accepted(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp ", .act = copy },
		{ .match = DKMS_BUILD, .act = leave_module },
		{ 0 },
	};
	struct error err;
	struct script script;

	script_init(&script, answers, *state);
	made.vermagic = "5.10.0-1-amd64 SMP ";

	assert_int_equal(build(*state, &script, &no_key, &err), -1);

	assert_int_equal(err.code, ERROR_BUILD);
	assert_non_null(strstr(err.text, "5.10.0-1-amd64"));
}

/* An image that is mounted alone. */
static void without_proc_or_dev_nothing_is_begun(void **state)
{
	static const char *const needed[] = { "/proc/cpuinfo", "/dev/fd" };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, working, *state);
		assert_int_equal(root_unlink(&sysroot->root, needed[i], &err), 0);
		assert_int_equal(build(sysroot, &script, &no_key, &err), -1);
		assert_int_equal(err.code, ERROR_PREREQUISITES);
		assert_string_equal(script.log, "");
		assert_false(is_there(sysroot, SOURCES));
		sysroot_write(sysroot, "/proc/cpuinfo", "");
	}
}

static void dkms_is_told_the_key_and_forgets_it(void **state)
{
	static const struct build_dkms_key key = { "/keys/k.pem", "/keys/c.der" };
	static const struct build_dkms_key bad = { "/keys/it's.pem", "/keys/c.der" };
	const struct sysroot *sysroot = *state;
	cleanup_free char *conf = NULL;
	struct error err;
	struct script script;
	size_t size;

	script_init(&script, working, *state);

	assert_int_equal(build(sysroot, &script, &key, &err), 0);
	assert_int_equal(file_read(&sysroot->root, SIGNING, 4096, &conf, &size, &err), 0);
	assert_non_null(strstr(conf, "mok_signing_key='/keys/k.pem'"));
	assert_int_equal(build(sysroot, &script, &bad, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);

	assert_int_equal(build(sysroot, &script, &no_key, &err), 0);
	assert_false(is_there(sysroot, SIGNING));
}

/* Whatever fails, there are whole sources or none, and a second run mends it. */
static void every_fault_leaves_whole_sources_or_none(void **state)
{
	const struct sysroot *sysroot = *state;
	int nth = 0, result;

	do {
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, working, *state);
		assert_int_equal(root_remove_tree(&sysroot->root, SOURCES, &err), 0);
		fault_arm(++nth);
		result = build(sysroot, &script, &no_key, &err);
		fault_arm(0);
		assert_int_equal(is_there(sysroot, SOURCES),
				 is_there(sysroot, SOURCES "/dkms.conf"));

		assert_int_equal(build(sysroot, &script, &no_key, &err), 0);
		assert_true(build_tree_is_ours(&sysroot->root, VERSION));
	} while (result < 0);

	assert_true(nth > 2);
}

/* Debian's own, Ubuntu's, and what framework.conf says of it, whose last file counts. */
static void the_key_that_dkms_signs_with_is_found(void **state)
{
	static const struct {
		const char *path, *text, *found;
	} steps[] = {
		{ "/etc/none", "", NULL },
		{ "/var/lib/shim-signed/mok/MOK.der", "",
		  "/var/lib/shim-signed/mok/MOK.der" },
		{ "/var/lib/dkms/mok.pub", "", "/var/lib/dkms/mok.pub" },
		{ "/etc/dkms/framework.conf", "mok_certificate=/a.der\n", "/a.der" },
		{ "/etc/dkms/framework.conf.d/a.txt", "mok_certificate=/b.der\n",
		  "/a.der" },
		{ "/etc/dkms/framework.conf.d/a.conf", "# nothing\n", "/a.der" },
		{ "/etc/dkms/framework.conf.d/b.conf", "mok_certificate=/b.der\n",
		  "/b.der" },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		struct error err = ERROR_INIT;
		char folder[128], path[64] = "";

		(void)snprintf(folder, sizeof(folder), "%.*s",
			       (int)(strrchr(steps[i].path, '/') - steps[i].path),
			       steps[i].path);
		assert_int_equal(root_mkdir(&sysroot->root, folder, 0755, &err), 0);
		sysroot_write(sysroot, steps[i].path, steps[i].text);
		assert_int_equal(
			build_dkms_certificate(&sysroot->root, path, sizeof(path)),
			steps[i].found != NULL);
		if (steps[i].found)
			assert_string_equal(path, steps[i].found);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_sources_lie_where_dkms_looks_and_are_a_tree),
		TEST(sources_that_are_there_are_not_copied_again),
		TEST(sources_of_others_are_in_the_way),
		TEST(what_a_killed_build_left_goes_first),
		TEST(a_build_that_fails_names_the_first_error_of_make),
		TEST(what_dkms_lacks_is_a_prerequisite),
		TEST(a_dkms_that_ends_well_without_a_module_is_not_believed),
		TEST(a_module_for_another_kernel_is_not_accepted),
		TEST(without_proc_or_dev_nothing_is_begun),
		TEST(dkms_is_told_the_key_and_forgets_it),
		TEST(the_key_that_dkms_signs_with_is_found),
		TEST(every_fault_leaves_whole_sources_or_none),
	};

	return cmocka_run_group_tests_name("build_dkms", tests, NULL, NULL);
}
