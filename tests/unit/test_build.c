/* wrap: getpid fstatvfs fstatvfs64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/build/build.h"

#include <string.h>
#include <sys/stat.h>

#include "steps/build/build_tree.h"
#include "support/cmocka.h"
#include "support/full.h"
#include "support/module.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define VERSION "525.105.17"
#define TREE "/var/cache/vgpu-guest-agent/tree"
#define WORK PATHS_BUILD "/." REL "-1234"

pid_t __wrap_getpid(void);
pid_t __wrap_getpid(void)
{
	return 1234;
}

static const struct toolchain gcc = {
	.compiler = "/usr/bin/gcc-12",
	.make = "/usr/bin/make",
};
static const struct kernel debian = {
	.release = REL,
	.headers = true,
	.build = "/lib/modules/" REL "/build",
	.source = "/lib/modules/" REL "/source",
};

static void add_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

/* What make leaves. */
static struct module made;

static int setup(void **state)
{
	(void)sysroot_setup(state);
	made = (struct module){ REL " SMP preempt mod_unload modversions ", VERSION };
	sysroot_mkdir(*state, "/usr/sbin");
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_mkdir(*state, TREE "/kernel");
	sysroot_write(*state, TREE "/kernel/Makefile", "modules:\n");
	return 0;
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static void leave_modules(struct script *script, const struct run *run)
{
	static const char *const names[] = { "nvidia-uvm.ko", "nvidia.ko", "nvidia.o",
					     "nvidia-drm.ko" };
	char path[256];

	assert_string_equal(run->argv[2], WORK);
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		(void)snprintf(path, sizeof(path), "%s/%s", run->argv[2], names[i]);
		module_write(script->context, path, &made);
	}
}

static void leave_uvm_only(struct script *script, const struct run *run)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/nvidia-uvm.ko", run->argv[2]);
	sysroot_write(script->context, path, "");
}

static int build(const struct sysroot *sysroot, struct script *script,
		 struct build_result *ret_result, struct error *err)
{
	const struct build_input input = {
		.tree = TREE,
		.version = VERSION,
		.kernel = &debian,
		.toolchain = &gcc,
		.log_path = "/var/log/vgpu-guest-agent/build.log",
	};

	return build_modules(&script->runner, &sysroot->root, &input, ret_result, err);
}

static void make_is_told_everything_it_might_guess(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp -R --preserve=mode,timestamps,links " TREE
			   "/kernel/. " WORK "\n" },
		{ .match = "/usr/bin/make -C " WORK " -j", .act = leave_modules },
		{ .match = "/usr/bin/strip --strip-debug " WORK "/nvidia.ko " },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct build_result built;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);
	add_program(sysroot, "/usr/bin/strip");

	assert_int_equal(build(sysroot, &script, &built, &err), 0);

	assert_int_equal(script_count(&script,
				      " modules KERNEL_UNAME=" REL
				      " SYSSRC=/lib/modules/" REL "/source SYSOUT="
				      "/lib/modules/" REL "/build IGNORE_CC_MISMATCH=1 "
				      "CC=/usr/bin/gcc-12"),
			 1);
	assert_int_equal(script_count(&script, "LLVM"), 0);
	assert_int_equal(built.count, 3);
	assert_string_equal(built.modules[0], PATHS_BUILD "/" REL "/nvidia.ko");
	for (size_t i = 0; i < built.count; i++)
		assert_true(is_there(sysroot, built.modules[i]));
	assert_false(is_there(sysroot, WORK));
}

static void a_clang_kernel_gets_the_whole_llvm(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp" },
		{ .match = "/usr/bin/make", .status = 2 },
		{ 0 },
	};
	static const struct {
		const char *compiler, *words;
	} cases[] = {
		{ "/usr/bin/clang-14", " CC=/usr/bin/clang-14 LLVM=-14 LD=ld.lld-14" },
		{ "/usr/bin/clang", " CC=/usr/bin/clang LLVM=1 LD=ld.lld" },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kernel kernel = debian;
		struct toolchain toolchain = gcc;
		struct build_input input = { .tree = TREE,
					     .version = VERSION,
					     .kernel = &kernel,
					     .toolchain = &toolchain };
		struct build_result built;
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, answers, *state);
		kernel.clang = true;
		(void)snprintf(toolchain.compiler, sizeof(toolchain.compiler), "%s",
			       cases[i].compiler);
		assert_int_equal(build_modules(&script.runner, &sysroot->root, &input,
					       &built, &err),
				 -1);
		assert_int_equal(script_count(&script, cases[i].words), 1);
	}
}

static void what_make_says_becomes_the_error(void **state)
{
	static const struct {
		const char *output, *text, *hint;
		enum error_code code;
		int status, signal;
		bool full;
	} cases[] = {
		{ WORK "/nvidia/nv-pci.c:230:13: error: too few arguments\nmake: *** x\n",
		  "compiling the kernel modules: exit status 2: "
		  "nv-pci.c:230:13: error: too few arguments",
		  "/var/log/vgpu-guest-agent/build.log", ERROR_BUILD, 2, 0 },
		{ "gcc-12: fatal error: Killed signal terminated program cc1\n",
		  "exit status 2: gcc-12: fatal error: Killed signal", "memory",
		  ERROR_BUILD, 2, 0 },
		{ "cc1: fatal error: x: No space left on device\n", "No space left",
		  "build.log", ERROR_BUILD, 2,
		  0 }, /* of a file system that it has made */
		{ "cc1: schwerer Fehler: Kein Platz\n", "no room is left in " PATHS_BUILD,
		  "make room", ERROR_PREREQUISITES, 2, 0, true },
		{ "", "killed by signal 9", "build.log", ERROR_BUILD, 0, 9 },
		{ "/bin/sh: 1: flex: not found\nmake: *** [x] Error 127\n",
		  "flex: not found", "install what is missing", ERROR_PREREQUISITES, 2,
		  0 },
		{ "make: error while loading shared libraries: libguile\n", "libguile",
		  "install what is missing", ERROR_PREREQUISITES, 127, 0 },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "/bin/cp" },
			{ .match = "/usr/bin/make",
			  .output = cases[i].output,
			  .status = cases[i].status,
			  .signal = cases[i].signal },
			{ 0 },
		};
		struct build_result built = { .count = 77 };
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, answers, *state);
		full_now = cases[i].full;
		assert_int_equal(build(sysroot, &script, &built, &err), -1);
		full_now = false;
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_non_null(strstr(err.hint, cases[i].hint));
		assert_int_equal(built.count, 77);
		assert_false(is_there(sysroot, WORK));
	}
}

static void a_wrong_module_is_no_success(void **state)
{
	static const struct {
		const char *vermagic, *version, *text;
	} cases[] = {
		{ REL "x SMP", VERSION, "is for kernel" },
		{ "6.1.0-36-cloud-amd64 SMP", VERSION, "is for kernel" },
		{ REL " SMP", "525.105.1", "is of driver \"525.105.1\"" },
		{ REL " SMP", NULL, "is of driver \"\"" },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "/bin/cp" },
			{ .match = "/usr/bin/make", .act = leave_modules },
			{ 0 },
		};
		struct build_result built;
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, answers, *state);
		made = (struct module){ cases[i].vermagic, cases[i].version };
		assert_int_equal(build(sysroot, &script, &built, &err), -1);
		assert_int_equal(err.code, ERROR_BUILD);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_false(is_there(sysroot, PATHS_BUILD "/" REL));
	}
}

static void make_without_nvidia_ko_is_no_success(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp" },
		{ .match = "/usr/bin/make", .act = leave_uvm_only },
		{ 0 },
	};
	struct build_result built;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(build(*state, &script, &built, &err), -1);

	assert_string_equal(err.text, "make has left no nvidia.ko");
}

static void flavour_follows_wish_then_package_then_branch(void **state)
{
	static const struct {
		const char *version, *wanted, *advice;
		bool has_open, has_closed;
		int open; /* -1: an error */
	} cases[] = {
		{ "525.105.17", "auto", "", true, true, 0 },
		{ "570.133.20", "auto", "", true, true, 1 },
		{ "570.133.20", "auto", "proprietary\n", true, true, 0 },
		{ "525.105.17", "auto", "-> x\nopen\n", true, true, 1 },
		{ "525.105.17", "open", "proprietary\n", true, true, 1 },
		{ "570.133.20", "proprietary", "open\n", true, true, 0 },
		{ "570.133.20", "auto", "", false, true, 0 },
		{ "525.105.17", "auto", "", true, false, 1 },
		{ "525.105.17", "open", "", false, true, -1 },
		{ "525.105.17", "proprietary", "", true, false, -1 },
		{ "525.105.17", "auto", "", false, false, -1 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "/nvidia-installer --print-recommended-kernel-module-"
				   "type\n",
			  .output = cases[i].advice,
			  .status = cases[i].advice[0] ? 0 : 1 },
			{ 0 },
		};
		const struct build_choice choice = { .tree = "/tree",
						     .version = cases[i].version,
						     .wanted = cases[i].wanted };
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		struct script script;
		bool open = false;
		int result;

		script_init(&script, answers, NULL);
		sysroot_mkdir(sysroot, "/tree");
		if (cases[i].has_open)
			sysroot_mkdir(sysroot, "/tree/kernel-open");
		if (cases[i].has_closed)
			sysroot_mkdir(sysroot, "/tree/kernel");
		result = build_flavour(&script.runner, &sysroot->root, &choice, &open,
				       &err);
		assert_int_equal(result, cases[i].open < 0 ? -1 : 0);
		if (result == 0)
			assert_int_equal(open, cases[i].open);
		else
			assert_int_equal(err.code, ERROR_BUILD);
		assert_int_equal(root_remove_tree(&sysroot->root, "/tree", &err), 0);
	}
}

/* To go by the branch then would change the flavour between two runs. */
static void an_installer_that_does_not_answer_is_not_guessed_for(void **state)
{
	static const struct script_answer ends[] = {
		{ .status = 127,
		  .output = "./nvidia-installer: error while loading shared libraries: "
			    "libpciaccess.so.0\n" },
		{ .status = 126, .output = "Permission denied\n" },
		{ .status = 2, .output = "open\n" },
		{ .signal = 11 },
		{ .signal = 15, .timed_out = true, .output = "open\n" },
	};
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/tree");
	sysroot_mkdir(sysroot, "/tree/kernel-open");
	sysroot_mkdir(sysroot, "/tree/kernel");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct script_answer answers[] = { ends[i], { 0 } };
		const struct build_choice auto_of = { "/tree", "570.133.20", "auto" };
		const struct build_choice open_of = { "/tree", "570.133.20", "open" };
		struct error err = ERROR_INIT;
		struct script script;
		bool open = false;

		answers[0].match = "/nvidia-installer";
		script_init(&script, answers, NULL);
		assert_int_equal(build_flavour(&script.runner, &sysroot->root, &auto_of,
					       &open, &err),
				 -1);
		assert_int_equal(err.code, ERROR_INSTALL);
		if (ends[i].status == 127)
			assert_non_null(strstr(err.text, "libpciaccess.so.0"));
		assert_non_null(strstr(err.hint, "driver.kernel_module"));
		assert_int_equal(build_flavour(&script.runner, &sysroot->root, &open_of,
					       &open, &err),
				 0);
	}
}

static void copy_makefile(struct script *script, const struct run *run)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "%s/Makefile", run->argv[4]);
	sysroot_write(script->context, path, "modules:\n");
}

static void sources_are_kept_once_and_of_one_version(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp", .act = copy_makefile },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	char tree[128];
	bool open = true;

	script_init(&script, answers, *state);
	sysroot_mkdir(sysroot, PATHS_SOURCES "/525.60.13/kernel");
	sysroot_mkdir(sysroot, PATHS_SOURCES "/.new/kernel-open");
	assert_false(build_tree_kept(&sysroot->root, VERSION, tree, sizeof(tree), &open));

	for (int i = 0; i < 2; i++)
		assert_int_equal(build_tree_keep(&script.runner, &sysroot->root, TREE,
						 VERSION, false, &err),
				 0);

	assert_int_equal(script_count(&script, "/bin/cp"), 1);
	assert_true(build_tree_kept(&sysroot->root, VERSION, tree, sizeof(tree), &open));
	assert_string_equal(tree, PATHS_SOURCES "/" VERSION);
	assert_false(open);
	sysroot_assert_text(sysroot, PATHS_SOURCES "/" VERSION "/kernel/Makefile",
			    "modules:\n");
	sysroot_assert_entries(sysroot, PATHS_SOURCES, 1);
	assert_false(
		build_tree_kept(&sysroot->root, "../../etc", tree, sizeof(tree), &open));
}

static void a_failed_copy_keeps_the_old_sources(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "/bin/cp", .status = 1 },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, *state);
	sysroot_mkdir(sysroot, PATHS_SOURCES "/525.60.13/kernel");

	full_now = true;
	assert_int_equal(build_tree_keep(&script.runner, &sysroot->root, TREE, VERSION,
					 false, &err),
			 -1);
	full_now = false;

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_true(is_there(sysroot, PATHS_SOURCES "/525.60.13/kernel"));
	assert_false(is_there(sysroot, PATHS_SOURCES "/" VERSION));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(make_is_told_everything_it_might_guess),
		TEST(a_clang_kernel_gets_the_whole_llvm),
		TEST(what_make_says_becomes_the_error),
		TEST(a_wrong_module_is_no_success),
		TEST(make_without_nvidia_ko_is_no_success),
		TEST(flavour_follows_wish_then_package_then_branch),
		TEST(an_installer_that_does_not_answer_is_not_guessed_for),
		TEST(sources_are_kept_once_and_of_one_version),
		TEST(a_failed_copy_keeps_the_old_sources),
	};

	return cmocka_run_group_tests_name("build", tests, NULL, NULL);
}
