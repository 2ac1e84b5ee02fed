/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/toolchain.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define EL9 "5.14.0-427.el9.x86_64"
#define CONFIG "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n"
#define CONFIG_EL9 \
	"CONFIG_CC_VERSION_TEXT=\"gcc (GCC) 11.4.1 20231218 (Red Hat 11.4.1-3)\"\n"
#define CONFIG_AMZN "CONFIG_CC_VERSION_TEXT=\"gcc14-gcc (GCC) 14.2.1 20250110\"\n"
#define CONFIG_CLANG "CONFIG_CC_VERSION_TEXT=\"Debian clang version 14.0.6\"\n"

/* What a program in a scene says of itself. */
#define TOOLS                                                                   \
	{ .match = "gcc-12 -dumpversion", .output = "12\n" },                   \
		{ .match = "/usr/bin/gcc -dumpversion", .output = "11.4.1\n" }, \
		{ .match = "clang-14 -dumpversion", .output = "14.0.6\n" },     \
	{                                                                       \
		.match = "--version", .output = "GNU\n"                         \
	}

static const struct os debian = { .id = "debian", .arch = "x86_64" };
static const struct os rocky = { .id = "rocky", .id_like = "rhel centos fedora" };

static const char *const toolsets[] = { "/opt/rh/gcc-toolset-11/root/usr/bin",
					"/opt/rh/gcc-toolset-12/root/usr/bin" };

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
	add_program(*state, "/usr/bin/apt-get");
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

	static const struct script_answer answers[] = { TOOLS, { 0 } };
	struct script script;

	script_init(&script, answers, NULL);
	sysroot_write(sysroot, "/boot/config-" REL, CONFIG);

	assert_int_equal(toolchain_find(&script.runner, &sysroot->root, &kernel, false,
					&toolchain, &err),
			 0);

	assert_string_equal(toolchain.missing,
			    "the headers of kernel " REL
			    ", make, gcc-12, ld, /usr/include/stdio.h");
}

/* Folders and names stay when a package goes: the program says which one it is. */
static void the_compiler_that_says_so_is_the_kernels_own_version(void **state)
{
	static const struct {
		const char *config, *program, *says, *found;
	} cases[] = {
		{ CONFIG, "/usr/bin/gcc-12", "12\n", "/usr/bin/gcc-12" },
		{ CONFIG, "/usr/bin/gcc-12", "11\n", "" },
		{ CONFIG, "/usr/bin/gcc", "12.2.0\n", "/usr/bin/gcc" },
		{ CONFIG, "/usr/bin/gcc", "11\n", "" },
		{ CONFIG, "/usr/bin/gcc", "error\n", "" },
		{ CONFIG, "/usr/bin/gcc-13", "13\n", "" },
		{ CONFIG_AMZN, "/usr/bin/gcc14-gcc", "14\n", "/usr/bin/gcc14-gcc" },
		{ CONFIG_EL9, "/usr/bin/gcc", "11\n", "/usr/bin/gcc" },
		{ CONFIG_EL9, "/opt/rh/gcc-toolset-11/root/usr/bin/gcc", "11\n",
		  "/opt/rh/gcc-toolset-11/root/usr/bin/gcc" },
		{ CONFIG_EL9, "/opt/rh/gcc-toolset-12/root/usr/bin/gcc", "12\n", "" },
		{ CONFIG_CLANG, "/usr/bin/clang-14", "14.0.6\n", "/usr/bin/clang-14" },
		{ CONFIG_CLANG, "/usr/bin/gcc-12", "12\n", "" },
		{ "", "/usr/bin/gcc", "9\n", "/usr/bin/gcc" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "-dumpversion", .output = cases[i].says },
			{ .match = "--version", .output = "GNU\n" },
			{ 0 },
		};
		struct kernel kernel = kernel_of(REL);
		struct toolchain toolchain;
		struct error err = ERROR_INIT;
		struct script script;

		const struct sysroot *sysroot = *state;
		script_init(&script, answers, NULL);
		add_tools(sysroot);
		add_program(sysroot, "/usr/bin/ld.lld-14");
		add_headers(sysroot, REL, cases[i].config);
		for (size_t n = 0; n < ARRAY_SIZE(toolsets); n++)
			sysroot_mkdir(sysroot, toolsets[n]);
		add_program(sysroot, cases[i].program);

		assert_int_equal(toolchain_find(&script.runner, &sysroot->root, &kernel,
						false, &toolchain, &err),
				 0);
		assert_string_equal(toolchain.compiler, cases[i].found);
		assert_int_equal(toolchain.missing[0] == '\0', cases[i].found[0] != '\0');

		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

/* A program that does not start is not there, whatever lies at its path. */
static void a_tool_that_does_not_answer_is_missing(void **state)
{
	static const struct {
		const char *broken, *missing;
	} cases[] = {
		{ "/usr/bin/make --version", "make (make: exit status 127: libmpc)" },
		{ "/usr/bin/ld --version", "ld (ld: exit status 127: libmpc)" },
		{ "/usr/bin/gcc-12 -dumpversion",
		  "gcc-12 (gcc-12: exit status 127: libmpc)" },
	};

	add_tools(*state);
	add_program(*state, "/usr/bin/gcc-12");
	add_headers(*state, REL, CONFIG);
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = cases[i].broken, .status = 127, .output = "libmpc\n" },
			TOOLS,
			{ 0 },
		};
		const struct sysroot *sysroot = *state;
		struct kernel kernel = kernel_of(REL);
		struct toolchain toolchain;
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, answers, NULL);
		assert_int_equal(toolchain_find(&script.runner, &sysroot->root, &kernel,
						false, &toolchain, &err),
				 0);
		assert_string_equal(toolchain.missing, cases[i].missing);
	}
}

/* The folder stays while a package that it links to has gone. */
static void headers_that_are_half_there_are_missing(void **state)
{
	static const struct {
		const char *link, *target, *makefile;
		bool whole;
	} cases[] = {
		{ "/build/scripts", "/usr/lib/linux-kbuild-6.1/scripts", "", false },
		{ "/build/tools", "../../../../usr/lib/gone", "", false },
		{ "/build/include/linux", "/usr/src/gone", "", false },
		{ "/build/arch/x86", "/usr/src/gone", "", false },
		{ NULL, NULL, "include /usr/src/linux-headers-common/Makefile\n", false },
		{ NULL, NULL, "include $(srctree)/Makefile\n", true },
		{ "/build/scripts", "/usr/bin", "include /usr/include/stdio.h\n", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct script_answer answers[] = { TOOLS, { 0 } };
		const struct sysroot *sysroot = *state;
		struct kernel kernel = kernel_of(REL);
		struct toolchain toolchain;
		struct error err = ERROR_INIT;
		struct script script;
		char path[256];

		script_init(&script, answers, NULL);
		add_tools(sysroot);
		add_program(sysroot, "/usr/bin/gcc-12");
		add_headers(sysroot, REL, CONFIG);
		sysroot_mkdir(sysroot, "/lib/modules/" REL "/build/include");
		sysroot_mkdir(sysroot, "/lib/modules/" REL "/build/arch");
		sysroot_write(sysroot, "/lib/modules/" REL "/build/Makefile",
			      cases[i].makefile);
		if (cases[i].link) {
			(void)snprintf(path, sizeof(path), "%s/lib/modules/" REL "%s",
				       sysroot->dir, cases[i].link);
			assert_int_equal(symlink(cases[i].target, path), 0);
		}

		assert_int_equal(toolchain_find(&script.runner, &sysroot->root, &kernel,
						false, &toolchain, &err),
				 0);
		assert_string_equal(toolchain.missing,
				    cases[i].whole ? "" : "the headers of kernel " REL);
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

static void a_complete_toolchain_asks_no_package_manager(void **state)
{
	static const struct script_answer answers[] = { TOOLS, { 0 } };
	const struct sysroot *sysroot = *state;
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, NULL);
	add_tools(sysroot);
	add_program(sysroot, "/usr/bin/gcc-12");
	add_headers(sysroot, REL, CONFIG);

	assert_int_equal(install(sysroot, &debian, &script, &kernel, &toolchain), 0);

	assert_int_equal(script_count(&script, "apt-get"), 0);
	assert_true(kernel.headers);
	assert_string_equal(kernel.build, "/lib/modules/" REL "/build");
	assert_string_equal(kernel.source, "/lib/modules/" REL "/build");
	assert_int_equal(kernel.compiler_major, 12);
	assert_string_equal(toolchain.make, "/usr/bin/make");
}

static void a_source_folder_of_its_own_is_used(void **state)
{
	static const struct script_answer answers[] = { TOOLS, { 0 } };
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
		TOOLS,
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
		{ .match = "install kernel-devel-uname-r = " EL9
			   " elfutils-libelf-devel make gcc binutils glibc-devel\n",
		  .output = "Error: Unable to find a match: kernel-devel-uname-r = " EL9
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
	add_program(sysroot, "/usr/bin/dnf");

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

/* For a guest that may install nothing: what a person is to type there. */
static void what_is_missing_is_named_by_its_packages(void **state)
{
	static const struct {
		const char *id, *program, *names;
		bool headers;
	} cases[] = {
		{ "debian", "apt-get",
		  "linux-headers-" REL " make gcc-12 binutils libc6-dev", false },
		{ "rocky", "dnf",
		  "kernel-devel-" REL " elfutils-libelf-devel make gcc binutils "
		  "glibc-devel",
		  false },
		{ "sles", "zypper", "make gcc12 binutils glibc-devel", true },
		/* apt-get of another package format: its names are nobody's here. */
		{ "altlinux", "apt-get", "", false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static const struct script_answer answers[] = { TOOLS, { 0 } };
		const struct sysroot *sysroot = *state;
		struct os os = { .id = "" };
		struct script script;
		struct kernel kernel = kernel_of(REL);
		struct error err = ERROR_INIT;
		const struct toolchain_system system = { .root = &sysroot->root,
							 .os = &os,
							 .runner = &script.runner };
		char text[400];

		(void)snprintf(os.id, sizeof(os.id), "%s", cases[i].id);
		(void)unlinkat(sysroot->root.fd, "usr/bin/apt-get", 0);
		(void)snprintf(text, sizeof(text), "/usr/bin/%s", cases[i].program);
		add_program(sysroot, text);
		if (!cases[i].names[0])
			add_program(sysroot, "/usr/bin/rpm");
		sysroot_write(sysroot, "/boot/config-" REL, CONFIG);
		if (cases[i].headers)
			add_headers(sysroot, REL, CONFIG);
		script_init(&script, answers, NULL);

		assert_int_equal(toolchain_install_names(&system, &kernel, text,
							 sizeof(text), &err),
				 0);
		assert_string_equal(text, cases[i].names);
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

/* One row for each line of the table, and the hint in the system's own names. */
static void each_family_is_asked_for_its_own_names(void **state)
{
	static const struct {
		const char *id, *id_like, *release, *program, *vmlinuz, *asked, *hint;
	} cases[] = {
		{ "debian", "", REL, "apt-get", NULL, "linux-headers-" REL,
		  "linux-headers-" REL },
		{ "debian", "", "6.14.11-2-pve", "apt-get", NULL,
		  "proxmox-headers-6.14.11-2-pve", "proxmox-headers-6.14.11-2-pve" },
		{ "ol", "fedora", "5.15.0-307.178.5.el8uek.x86_64", "dnf", NULL,
		  "kernel-uek-devel-uname-r = 5.15.0-307.178.5.el8uek.x86_64",
		  "kernel-uek-devel-5.15.0-307.178.5.el8uek.x86_64" },
		{ "ol", "fedora", "4.18.0-553.el8_10.x86_64", "dnf", NULL,
		  "kernel-devel-uname-r = 4.18.0-553.el8_10.x86_64",
		  "kernel-devel-4.18.0-553.el8_10.x86_64" },
		{ "amzn", "fedora", "6.12.22-27.96.amzn2023.x86_64", "dnf", NULL,
		  "kernel-devel-uname-r = 6.12.22-27.96.amzn2023.x86_64",
		  "kernel-devel-6.12.22-27.96.amzn2023.x86_64" },
		{ "rocky", "rhel centos fedora", EL9, "yum", NULL,
		  "kernel-devel-uname-r = " EL9, "kernel-devel-" EL9 },
		{ "rocky", "rhel", EL9, "dnf", "kernel-rt-core 5.14.0-427.13.1.el9_4\n",
		  "kernel-rt-devel-5.14.0-427.13.1.el9_4",
		  "kernel-rt-devel-5.14.0-427.13.1.el9_4" },
		{ "openEuler", "", "5.10.0-216.oe2203sp4.x86_64", "dnf", NULL,
		  "kernel-devel-5.10.0-216.oe2203sp4.x86_64",
		  "kernel-devel-5.10.0-216.oe2203sp4.x86_64" },
		{ "sles", "suse", "6.4.0-150600.23.25-default", "zypper",
		  "kernel-default 6.4.0-150600.23.25.1\n",
		  "kernel-default-devel-6.4.0-150600.23.25.1",
		  "kernel-default-devel-6.4.0-150600.23.25.1" },
		{ "sles", "suse", "6.4.0-150600.23.25-azure", "zypper", NULL,
		  "kernel-azure-devel-6.4.0-150600.23.25",
		  "kernel-azure-devel-6.4.0-150600.23.25" },
		{ "azurelinux", "", "6.6.64.2-9.azl3", "tdnf", NULL,
		  "kernel-devel-6.6.64.2-9.azl3", "kernel-devel-6.6.64.2-9.azl3" },
		{ "photon", "", "6.1.90-1.ph5-esx", "tdnf", NULL,
		  "linux-esx-devel-6.1.90-1.ph5", "linux-esx-devel-6.1.90-1.ph5" },
		{ "photon", "", "6.1.90-1.ph5-rt", "tdnf", NULL,
		  "linux-rt-devel-6.1.90-1.ph5", "linux-rt-devel-6.1.90-1.ph5" },
		{ "photon", "", "6.1.90-1.ph5", "tdnf", NULL, "linux-devel-6.1.90-1.ph5",
		  "linux-devel-6.1.90-1.ph5" },
		/* A name that a system of .rpm and one of .deb bear. */
		{ "kylin", "debian", "5.4.18-87-generic", "apt-get", NULL,
		  "linux-headers-5.4.18-87-generic", "linux-headers-5.4.18-87-generic" },
		{ "kylin", "", "4.19.90-52.ky10.x86_64", "dnf", NULL,
		  "kernel-devel-4.19.90-52.ky10.x86_64",
		  "kernel-devel-4.19.90-52.ky10.x86_64" },
		/* A name that nobody knows: by the program that is there. */
		{ "novel", "", "7.0.0-1.x86_64", "microdnf", NULL,
		  "kernel-devel-uname-r = 7.0.0-1.x86_64",
		  "kernel-devel-7.0.0-1.x86_64" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = " install ", .output = "no such\n", .status = 1 },
			{ .match = "rpm -qf --qf", .output = cases[i].vmlinuz },
			{ .match = "refresh" },
			{ .match = "makecache" },
			{ .match = "update" },
			TOOLS,
			{ 0 },
		};
		const struct sysroot *sysroot = *state;
		struct os os = { .id = "" };
		struct script script;
		struct kernel kernel = kernel_of(cases[i].release);
		struct toolchain toolchain;
		struct error err = ERROR_INIT;
		const struct toolchain_system system = { .root = &sysroot->root,
							 .os = &os,
							 .runner = &script.runner };
		char text[400];

		(void)snprintf(os.id, sizeof(os.id), "%s", cases[i].id);
		(void)snprintf(os.id_like, sizeof(os.id_like), "%s", cases[i].id_like);
		if (strcmp(cases[i].program, "apt-get") != 0 &&
		    cases[i].id_like[0] == '\0')
			(void)unlinkat(sysroot->root.fd, "usr/bin/apt-get", 0);
		(void)snprintf(text, sizeof(text), "/usr/bin/%s", cases[i].program);
		add_program(sysroot, text);
		if (cases[i].vmlinuz) {
			add_program(sysroot, "/usr/bin/rpm");
			(void)snprintf(text, sizeof(text), "/boot/vmlinuz-%s",
				       cases[i].release);
			sysroot_write(sysroot, text, "");
		}
		script_init(&script, answers, NULL);

		assert_int_equal(toolchain_install(&system, &kernel, &toolchain, &err),
				 -1);

		assert_int_equal(err.code, ERROR_PREREQUISITES);
		(void)snprintf(text, sizeof(text), "%s ", cases[i].asked);
		if (script_count(&script, text) == 0)
			fail_msg("%s: \"%s\" is not in: %s", cases[i].id, text,
				 script.log);
		(void)snprintf(text, sizeof(text), "/usr/bin/%s ", cases[i].program);
		assert_true(script_count(&script, text) > 0);
		(void)snprintf(text, sizeof(text), "install %s, boot", cases[i].hint);
		if (strncmp(err.hint, text, strlen(text)) != 0)
			fail_msg("%s: %s", cases[i].id, err.hint);
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

static void bring_all(struct script *script, const struct run *run)
{
	(void)run;
	add_headers(script->context, "6.8.12-1-pve", CONFIG);
	add_tools(script->context);
	add_program(script->context, "/usr/bin/gcc-12");
}

/* Proxmox before 8.1 called them otherwise. */
static void a_name_that_is_unknown_gives_the_next(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "install proxmox-headers-",
		  .status = 100,
		  .output = "E: Unable to locate package\n" },
		{ .match = "install pve-headers-6.8.12-1-pve ", .act = bring_all },
		{ .match = "update" },
		TOOLS,
		{ 0 },
	};
	struct kernel kernel = kernel_of("6.8.12-1-pve");
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, *state);

	assert_int_equal(install(*state, &debian, &script, &kernel, &toolchain), 0);
	assert_string_equal(toolchain.missing, "");
}

/* apt-get says that it has installed them, and yet they are those of REL. */
static void headers_of_another_kernel_do_not_count(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = " install ", .act = bring_headers, .times = 1 },
		{ .match = " install " },
		TOOLS,
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
	static const struct script_answer answers[] = { TOOLS, { 0 } };
	static const struct os arch = { .id = "arch" };
	struct kernel kernel = kernel_of(REL);
	struct toolchain toolchain;
	struct script script;

	script_init(&script, answers, NULL);
	assert_int_equal(
		unlinkat(((const struct sysroot *)*state)->root.fd, "usr/bin/apt-get", 0),
		0);

	assert_int_equal(install(*state, &arch, &script, &kernel, &toolchain), -1);

	assert_int_equal(script_count(&script, " install "), 0);
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
		TOOLS,
		{ 0 },
	};
	const struct sysroot *sysroot = *state;

	add_tools(sysroot);
	add_program(sysroot, "/usr/bin/gcc");
	add_program(sysroot, "/usr/bin/gcc-12");
	add_program(sysroot, "/usr/bin/dnf");
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
		assert_int_equal(toolchain_find(&script.runner, &sysroot->root, &kernel,
						false, &toolchain, &err),
				 0);
		assert_string_equal(toolchain.missing, "");
		assert_int_equal(toolchain_find(&script.runner, &sysroot->root, &kernel,
						true, &toolchain, &err),
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
		cmocka_unit_test_setup_teardown(
			the_compiler_that_says_so_is_the_kernels_own_version, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_complete_toolchain_asks_no_package_manager, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_tool_that_does_not_answer_is_missing,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(headers_that_are_half_there_are_missing,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_is_missing_is_named_by_its_packages,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(each_family_is_asked_for_its_own_names,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_name_that_is_unknown_gives_the_next,
						setup, sysroot_teardown),
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
