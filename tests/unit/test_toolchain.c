/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/toolchain.h"

#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define EL9 "5.14.0-427.el9.x86_64"
#define CONFIG "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n"
#define CONFIG_EL9 \
	"CONFIG_CC_VERSION_TEXT=\"gcc (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)\"\n"
#define CONFIG_CLANG "CONFIG_CC_VERSION_TEXT=\"Debian clang version 14.0.6\"\n"

static const struct os debian = { .id = "debian", .arch = "x86_64" };
static const struct os rocky = { .id = "rocky", .id_like = "rhel centos fedora" };

static void add_program(const struct sysroot *sysroot, const char *path)
{
	char full[256];

	sysroot_write(sysroot, path, "");
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static void add_headers(const struct sysroot *sysroot, const char *release,
			const char *config)
{
	char path[256];

	(void)snprintf(path, sizeof(path), "/lib/modules/%s/build", release);
	sysroot_mkdir(sysroot, path);
	(void)snprintf(path, sizeof(path), "/lib/modules/%s/build/Makefile", release);
	sysroot_write(sysroot, path, "");
	(void)snprintf(path, sizeof(path), "/lib/modules/%s/build/.config", release);
	sysroot_write(sysroot, path, config);
}

static void add_tools(const struct sysroot *sysroot)
{
	add_program(sysroot, "/usr/bin/make");
	add_program(sysroot, "/usr/bin/ld");
	sysroot_write(sysroot, "/usr/include/stdio.h", "");
}

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_mkdir(*state, "/usr/include");
	sysroot_mkdir(*state, "/boot");
	return 0;
}

static struct kernel kernel_of(const char *release)
{
	struct kernel kernel = { .running = true };

	(void)snprintf(kernel.release, sizeof(kernel.release), "%s", release);
	return kernel;
}

static int install(const struct sysroot *sysroot, const struct os *os,
		   struct script *script, struct kernel *kernel,
		   struct toolchain *ret_toolchain)
{
	const struct toolchain_system system = {
		.root = &sysroot->root,
		.os = os,
		.runner = &script->runner,
	};
	struct error err = ERROR_INIT;
	int result = toolchain_install(&system, kernel, ret_toolchain, &err);

	if (result < 0)
		assert_int_equal(err.code, ERROR_PREREQUISITES);
	return result;
}

static void everything_missing_is_named(void **state)
{
	const struct sysroot *sysroot = *state;
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, "/boot/config-" REL, CONFIG);

	assert_int_equal(toolchain_find(&sysroot->root, &kernel, false, &toolchain, &err),
			 0);

	assert_string_equal(toolchain.missing,
			    "the headers of kernel " REL
			    ", make, gcc-12, ld, /usr/include/stdio.h");
}

static void the_compiler_is_the_kernels_own_version(void **state)
{
	static const struct {
		const char *config, *program, *gcc_folder, *found;
	} cases[] = {
		{ CONFIG, "/usr/bin/gcc-12", NULL, "/usr/bin/gcc-12" },
		/* A plain gcc counts only when it is known to be that version. */
		{ CONFIG, "/usr/bin/gcc", "/usr/lib/gcc/x86_64-linux-gnu/13", "" },
		{ CONFIG, "/usr/bin/gcc-13", "/usr/lib/gcc/x86_64-linux-gnu/13", "" },
		{ CONFIG_EL9, "/usr/bin/gcc", "/usr/lib/gcc/x86_64-redhat-linux/11",
		  "/usr/bin/gcc" },
		{ CONFIG_CLANG, "/usr/bin/clang-14", NULL, "/usr/bin/clang-14" },
		{ CONFIG_CLANG, "/usr/bin/gcc-12", NULL, "" },
		{ "", "/usr/bin/gcc", NULL, "/usr/bin/gcc" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct kernel kernel = kernel_of(REL);
		struct toolchain toolchain;
		struct error err = ERROR_INIT;

		const struct sysroot *sysroot = *state;
		add_tools(sysroot);
		add_program(sysroot, "/usr/bin/ld.lld-14");
		add_headers(sysroot, REL, cases[i].config);
		add_program(sysroot, cases[i].program);
		if (cases[i].gcc_folder)
			sysroot_mkdir(sysroot, cases[i].gcc_folder);

		assert_int_equal(
			toolchain_find(&sysroot->root, &kernel, false, &toolchain, &err),
			0);
		assert_string_equal(toolchain.compiler, cases[i].found);
		assert_int_equal(toolchain.missing[0] == '\0', cases[i].found[0] != '\0');

		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

static void a_complete_toolchain_asks_no_package_manager(void **state)
{
	static const struct script_answer answers[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, NULL);
	add_tools(sysroot);
	add_program(sysroot, "/usr/bin/gcc-12");
	add_headers(sysroot, REL, CONFIG);

	assert_int_equal(install(sysroot, &debian, &script, &kernel, &toolchain), 0);

	assert_string_equal(script.log, "");
	assert_true(kernel.headers);
	assert_string_equal(kernel.build, "/lib/modules/" REL "/build");
	assert_string_equal(kernel.source, "/lib/modules/" REL "/build");
	assert_int_equal(kernel.compiler_major, 12);
	assert_string_equal(toolchain.make, "/usr/bin/make");
}

static void a_source_folder_of_its_own_is_used(void **state)
{
	static const struct script_answer answers[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, NULL);
	add_tools(sysroot);
	add_program(sysroot, "/usr/bin/gcc-12");
	add_headers(sysroot, REL, CONFIG);
	sysroot_mkdir(sysroot, "/lib/modules/" REL "/source");
	sysroot_write(sysroot, "/lib/modules/" REL "/source/Makefile", "");

	assert_int_equal(install(sysroot, &debian, &script, &kernel, &toolchain), 0);

	assert_string_equal(kernel.source, "/lib/modules/" REL "/source");
}

static void bring_headers(struct script *script, const struct run *run)
{
	(void)run;
	add_headers(script->context, REL, CONFIG);
	add_tools(script->context);
}

static void bring_compiler(struct script *script, const struct run *run)
{
	(void)run;
	add_program(script->context, "/usr/bin/gcc-12");
}

static void the_headers_tell_which_compiler_comes_next(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "install linux-headers-" REL " make binutils libc6-dev\n",
		  .act = bring_headers },
		{ .match = "install gcc-12\n", .act = bring_compiler },
		{ 0 },
	};
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(install(*state, &debian, &script, &kernel, &toolchain), 0);

	assert_int_equal(script_count(&script, "apt-get"), 2);
	assert_string_equal(toolchain.compiler, "/usr/bin/gcc-12");
	assert_string_equal(toolchain.missing, "");
}

static void red_hat_gets_exactly_that_release(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "install kernel-devel-uname-r == " EL9
			   " elfutils-libelf-devel make gcc binutils glibc-devel\n",
		  .output = "Error: Unable to find a match: kernel-devel-uname-r == " EL9
			    "\n",
		  .status = 1 },
		{ .match = "makecache" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	struct kernel kernel = kernel_of(EL9);
	struct toolchain toolchain = { .missing = "untouched" };
	struct error err = ERROR_INIT;
	struct script script;
	const struct toolchain_system system = { .root = &sysroot->root,
						 .os = &rocky,
						 .runner = &script.runner };

	script_init(&script, answers, NULL);

	assert_int_equal(toolchain_install(&system, &kernel, &toolchain, &err), -1);

	assert_int_equal(err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(err.text, "Unable to find a match"));
	assert_non_null(strstr(err.text, "the headers of kernel " EL9));
	assert_string_equal(
		err.hint, "install kernel-devel-" EL9
			  ", boot a kernel whose headers are still to be had, or give a "
			  "prebuilt module archive for this kernel");
	assert_string_equal(toolchain.missing, "untouched");
}

/* apt-get says that it has installed them, and yet they are those of REL. */
static void headers_of_another_kernel_do_not_count(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = " install ", .act = bring_headers, .times = 1 },
		{ .match = " install " },
		{ 0 },
	};
	struct kernel kernel = kernel_of("6.1.0-99-cloud-amd64");
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(install(*state, &debian, &script, &kernel, &toolchain), -1);

	assert_false(kernel.headers);
}

static void an_unknown_system_is_told_what_is_missing(void **state)
{
	static const struct script_answer answers[] = { { 0 } };
	static const struct os arch = { .id = "arch" };
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, NULL);

	assert_int_equal(install(*state, &arch, &script, &kernel, &toolchain), -1);

	assert_string_equal(script.log, "");
}

/* Where the compiler is there and DKMS is not. */
static void dkms_comes_the_same_way_where_it_is_wanted(void **state)
{
	static const struct {
		const struct os *os;
		const char *release, *config;
	} systems[] = { { &debian, REL, CONFIG }, { &rocky, EL9, CONFIG_EL9 } };
	static const struct script_answer failing[] = {
		{ .match = " install ", .status = 100, .output = "E: No dkms.\n" },
		{ .match = "update" },
		{ .match = "makecache" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;

	add_tools(sysroot);
	add_program(sysroot, "/usr/bin/gcc");
	add_program(sysroot, "/usr/bin/gcc-12");
	sysroot_mkdir(sysroot, "/usr/lib/gcc/x86_64-redhat-linux/11");
	for (size_t i = 0; i < ARRAY_SIZE(systems); i++) {
		struct kernel kernel = kernel_of(systems[i].release);
		struct toolchain toolchain;
		struct error err = ERROR_INIT;
		struct script script;
		const struct toolchain_system system = { .root = &sysroot->root,
							 .os = systems[i].os,
							 .runner = &script.runner,
							 .dkms = true };

		add_headers(sysroot, systems[i].release, systems[i].config);
		script_init(&script, failing, NULL);
		assert_int_equal(
			toolchain_find(&sysroot->root, &kernel, false, &toolchain, &err),
			0);
		assert_string_equal(toolchain.missing, "");
		assert_int_equal(
			toolchain_find(&sysroot->root, &kernel, true, &toolchain, &err),
			0);
		assert_string_equal(toolchain.missing, "dkms");

		assert_int_equal(toolchain_install(&system, &kernel, &toolchain, &err),
				 -1);

		assert_int_equal(err.code, ERROR_PREREQUISITES);
		assert_non_null(strstr(err.text, "installing dkms"));
		assert_true(script_count(&script, " dkms") > 0);
		assert_int_equal(strstr(err.hint, "EPEL") != NULL,
				 systems[i].os == &rocky);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_missing_is_named, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_compiler_is_the_kernels_own_version,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_complete_toolchain_asks_no_package_manager, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_source_folder_of_its_own_is_used, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			the_headers_tell_which_compiler_comes_next, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(red_hat_gets_exactly_that_release, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(headers_of_another_kernel_do_not_count,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			dkms_comes_the_same_way_where_it_is_wanted, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(an_unknown_system_is_told_what_is_missing,
						setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("toolchain", tests, NULL, NULL);
}
