/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/detect.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-cloud-amd64"
#define DEBIAN_CC "CONFIG_CC_VERSION_TEXT=\"gcc-12 (Debian 12.2.0-14) 12.2.0\"\n"

/* A file and the folders above it. */
static void put(const struct sysroot *sysroot, const char *path, const char *text)
{
	struct error err = ERROR_INIT;
	char dir[PATH_MAX];

	assert_true(text_copy(dir, sizeof(dir), path));
	*strrchr(dir, '/') = '\0';
	assert_int_equal(root_mkdir(&sysroot->root, dir, 0755, &err), 0);
	sysroot_write(sysroot, path, text);
}

static void put_link(const struct sysroot *sysroot, const char *target, const char *path)
{
	char full[PATH_MAX];

	assert_true(text_format(full, sizeof(full), "%s%s", sysroot->dir, path));
	assert_int_equal(symlink(target, full), 0);
}

/* One function on the bus; `capture` names its configuration space, cut after `size`. */
static void put_function(const struct sysroot *sysroot, const char *address,
			 const char *class, const char *capture, size_t size)
{
	uint8_t config[GPU_CONFIG_SIZE];
	char path[PATH_MAX], full[PATH_MAX + 64];
	FILE *f;

	(void)text_format(path, sizeof(path), "/bus/pci/devices/%s/vendor", address);
	put(sysroot, path, "0x10de\n");
	(void)text_format(path, sizeof(path), "/bus/pci/devices/%s/class", address);
	put(sysroot, path, class);
	(void)text_format(path, sizeof(path), "/bus/pci/devices/%s/device", address);
	put(sysroot, path, "0x1eb8\n");
	(void)text_format(path, sizeof(path), "/bus/pci/devices/%s/subsystem_device",
			  address);
	put(sysroot, path, "0x130f\n");

	(void)text_format(path, sizeof(path), TEST_DATA_DIR "/pci/%s", capture);
	f = fopen(path, "rbe");
	assert_non_null(f);
	assert_int_equal(fread(config, 1, sizeof(config), f), sizeof(config));
	(void)fclose(f);
	(void)text_format(full, sizeof(full), "%s/bus/pci/devices/%s/config",
			  sysroot->dir, address);
	f = fopen(full, "wbe");
	assert_non_null(f);
	assert_int_equal(fwrite(config, 1, size, f), size);
	assert_int_equal(fclose(f), 0);
}

static void a_system_without_pci_has_no_gpus(void **state)
{
	const struct sysroot *sysroot = *state;
	struct gpu_list gpus;
	struct error err = ERROR_INIT;

	assert_int_equal(detect_gpus(&sysroot->root, &gpus, &err), 0);
	assert_int_equal(gpus.count, 0);
}

static void every_gpu_is_read_in_the_order_of_addresses(void **state)
{
	const struct sysroot *sysroot = *state;
	struct gpu_list gpus;
	struct error err = ERROR_INIT;

	put_function(sysroot, "0000:0a:00.0", "0x030200\n", "passthrough_118a.config",
		     256);
	put_function(sysroot, "0000:06:00.0", "0x030000\n", "vgpu_1eb8.config", 256);
	put_function(sysroot, "0000:06:00.1", "0x040300\n", "vgpu_1eb8.config", 256);
	put_function(sysroot, "0000:07:00.0", "0x030000\n", "vgpu_1eb8.config", 64);
	put(sysroot, "/bus/pci/devices/0000:00:02.0/vendor", "0x8086\n");
	put(sysroot, "/bus/pci/devices/0000:00:02.0/class", "0x030000\n");
	put(sysroot, "/bus/pci/devices/0000:00:03.0/vendor", "0x10de");
	put(sysroot, "/bus/pci/devices/0000:00:04.0/vendor", "nonsense");
	put(sysroot, "/bus/pci/devices/junk/vendor", "0x10de");
	put_link(sysroot, "../../../bus/pci/drivers/nouveau",
		 "/bus/pci/devices/0000:06:00.0/driver");

	if (detect_gpus(&sysroot->root, &gpus, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(gpus.count, 3);
	assert_string_equal(gpus.gpus[0].address, "0000:06:00.0");
	assert_int_equal(gpus.gpus[0].kind, GPU_VGPU);
	assert_int_equal(gpus.gpus[0].device, 0x1eb8);
	assert_int_equal(gpus.gpus[0].subsystem_device, 0x130f);
	assert_int_equal(gpus.gpus[0].class, 0x030000);
	assert_string_equal(gpus.gpus[0].host.version, "460.16");
	assert_string_equal(gpus.gpus[0].driver, "nouveau");
	assert_string_equal(gpus.gpus[1].address, "0000:07:00.0");
	assert_int_equal(gpus.gpus[1].kind, GPU_UNKNOWN);
	assert_non_null(strstr(gpus.gpus[1].note, "needs root"));
	assert_int_equal(gpus.gpus[2].kind, GPU_PASSTHROUGH);
	assert_string_equal(gpus.gpus[2].driver, "");
}

/* "Cannot tell" is no "not there": a guest is not given up for an error of one look. */
static void what_cannot_be_read_is_an_error_and_no_guest_without_gpu(void **state)
{
	static const char *const attributes[] = { "vendor", "class", "device", "config" };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(attributes); i++) {
		struct error err = ERROR_INIT;
		struct gpu_list gpus;
		char path[256];

		sysroot_empty(sysroot);
		put_function(sysroot, "0000:06:00.0", "0x030000\n", "vgpu_1eb8.config",
			     256);
		(void)text_format(path, sizeof(path), "/bus/pci/devices/0000:06:00.0/%s",
				  attributes[i]);
		assert_int_equal(root_unlink(&sysroot->root, path, &err), 0);
		put_link(sysroot, attributes[i], path); /* to itself: ELOOP */

		assert_int_equal(detect_gpus(&sysroot->root, &gpus, &err), -1);
		assert_int_equal(err.errnum, ELOOP);
	}
}

static void the_os_comes_from_etc_or_usr_lib(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct os os;

	assert_int_equal(detect_os(&sysroot->root, &os, &err), 0);
	assert_string_equal(os.id, "linux");

	put(sysroot, "/usr/lib/os-release", "ID=debian\nVERSION_ID=\"12\"\n");
	assert_int_equal(detect_os(&sysroot->root, &os, &err), 0);
	assert_string_equal(os.id, "debian");
	assert_string_equal(os.version_id, "12");
	assert_string_not_equal(os.arch, "");

	put(sysroot, "/etc/os-release", "ID=ubuntu\n");
	assert_int_equal(detect_os(&sysroot->root, &os, &err), 0);
	assert_string_equal(os.id, "ubuntu");
}

static void an_os_release_that_is_no_file_is_an_error(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct os os;

	sysroot_mkdir(sysroot, "/etc/os-release");
	assert_int_equal(detect_os(&sysroot->root, &os, &err), -1);
}

/* Debian's headers: two packages, absolute links between them. */
static void put_debian_headers(const struct sysroot *sysroot)
{
	put(sysroot, "/usr/src/linux-headers-" REL "/Makefile", "include x\n");
	put(sysroot, "/usr/src/linux-headers-" REL "/.config", DEBIAN_CC);
	put(sysroot, "/usr/src/linux-headers-6.1.0-37-common/Makefile", "\n");
	put(sysroot, "/lib/modules/" REL "/modules.builtin", "");
	put_link(sysroot, "/usr/src/linux-headers-" REL, "/lib/modules/" REL "/build");
	put_link(sysroot, "/usr/src/linux-headers-6.1.0-37-common",
		 "/lib/modules/" REL "/source");
}

static void kernels_come_with_headers_and_compiler(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct kernel_list list;
	const struct kernel *kernel;

	put_debian_headers(sysroot);
	put(sysroot, "/lib/modules/6.1.0-9-amd64/modules.builtin", "");
	put_link(sysroot, "/usr/src/gone", "/lib/modules/6.1.0-9-amd64/build");
	put(sysroot, "/boot/config-6.1.0-9-amd64",
	    "CONFIG_CC_VERSION_TEXT=\"gcc-11 11.3.0\"\n");
	put(sysroot, "/lib/modules/6.1.0-8-amd64/updates/dkms/nvidia.ko", "");
	put(sysroot, "/proc/sys/kernel/osrelease", REL "\n");

	if (detect_kernels(&sysroot->root, true, &list, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(list.count, 2);
	assert_string_equal(list.kernels[0].release, "6.1.0-9-amd64");
	assert_false(list.kernels[0].headers);
	assert_false(list.kernels[0].running);
	assert_string_equal(list.kernels[0].build, "");
	assert_int_equal(list.kernels[0].compiler_major, 11);
	kernel = &list.kernels[1];
	assert_string_equal(kernel->release, REL);
	assert_true(kernel->headers);
	assert_true(kernel->running);
	assert_string_equal(kernel->build, "/lib/modules/" REL "/build");
	assert_string_equal(kernel->source, "/lib/modules/" REL "/source");
	assert_string_equal(kernel->compiler, "gcc-12 (Debian 12.2.0-14) 12.2.0");
}

static void red_hats_headers_are_their_own_source(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct kernel_list list;

	put(sysroot, "/usr/src/kernels/5.14.0-427.el9.x86_64/Makefile", "\n");
	put(sysroot, "/usr/src/kernels/5.14.0-427.el9.x86_64/include/config/auto.conf",
	    "CONFIG_CC_VERSION_TEXT=\"gcc (GCC) 11.4.1 20230605\"\n");
	sysroot_mkdir(sysroot, "/lib/modules/5.14.0-427.el9.x86_64");
	put_link(sysroot, "/usr/src/kernels/5.14.0-427.el9.x86_64",
		 "/lib/modules/5.14.0-427.el9.x86_64/build");
	put_link(sysroot, "build", "/lib/modules/5.14.0-427.el9.x86_64/source");

	if (detect_kernels(&sysroot->root, false, &list, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(list.count, 1);
	assert_true(list.kernels[0].headers);
	assert_false(list.kernels[0].running);
	assert_int_equal(list.kernels[0].compiler_major, 11);
}

/* kernel-devel without its configuration, as a cut-off package installation leaves it. */
static void a_makefile_alone_is_no_headers(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct kernel_list list;

	put(sysroot, "/lib/modules/" REL "/build/Makefile", "\n");
	assert_int_equal(detect_kernels(&sysroot->root, false, &list, &err), 0);

	assert_int_equal(list.count, 1);
	assert_false(list.kernels[0].headers);
}

static void the_running_kernel_is_listed_without_a_folder_too(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct kernel_list list;

	put(sysroot, "/proc/sys/kernel/osrelease", "6.6.6\n");
	assert_int_equal(detect_kernels(&sysroot->root, true, &list, &err), 0);

	assert_int_equal(list.count, 1);
	assert_string_equal(kernel_running(&list)->release, "6.6.6");
}

static void a_release_with_a_slash_is_refused(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char release[KERNEL_RELEASE_MAX];

	put(sysroot, "/proc/sys/kernel/osrelease", "../../etc\n");
	assert_int_equal(detect_release(&sysroot->root, release, sizeof(release), &err),
			 -1);
}

static void put_tool(const struct sysroot *sysroot, const char *path)
{
	char full[PATH_MAX];

	put(sysroot, path, "#!/bin/sh\n");
	assert_true(text_format(full, sizeof(full), "%s%s", sysroot->dir, path));
	assert_int_equal(chmod(full, 0755), 0);
}

static void an_installed_driver_is_described(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/sbin/modinfo -k " REL " -F version nvidia",
		  "modinfo: WARNING: something\n525.105.17\n" },
		{ NULL },
	};
	struct script script;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct detect_driver driver;

	script_init(&script, answers, NULL);
	put_tool(sysroot, "/usr/sbin/modinfo");
	put_tool(sysroot, "/usr/bin/nvidia-smi");
	put_tool(sysroot, "/usr/bin/nvidia-gridd");
	put(sysroot, "/sys/module/nvidia/version", "525.105.17\n");
	if (detect_driver(&script.runner, &sysroot->root, REL, &driver, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(driver.version, "525.105.17");
	assert_string_equal(driver.loaded, "525.105.17");
	assert_true(driver.grid);
	assert_true(driver.tools);
	assert_int_equal(script_count(&script, "modinfo"), 1);
}

static void a_system_without_a_driver_says_so(void **state)
{
	static const struct script_answer answers[] = {
		{ "/usr/sbin/modinfo -k " REL " -F version nvidia",
		  "modinfo: ERROR: Module nvidia not found.\n", .status = 1 },
		{ NULL },
	};
	struct script script;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct detect_driver driver;

	script_init(&script, answers, NULL);
	put_tool(sysroot, "/usr/sbin/modinfo");
	put(sysroot, "/proc/modules", "nvidia_vgpu_vfio 1 0 - Live 0x0\nnvidiafb 1 0\n");
	if (detect_driver(&script.runner, &sysroot->root, REL, &driver, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(driver.version, "");
	assert_string_equal(driver.loaded, "");
	assert_false(driver.grid);
	assert_false(driver.tools);
}

/* Else the driver that is there would be installed once more. */
static void a_modinfo_that_does_not_answer_has_not_said_none(void **state)
{
	static const struct script_answer ends[] = {
		{ .match = "modinfo",
		  .status = 127,
		  .output = "modinfo: libkmod.so.2\n" },
		{ .match = "modinfo", .signal = 9 },
		{ .match = "modinfo", .signal = 15, .timed_out = true },
	};
	const struct sysroot *sysroot = *state;

	put_tool(sysroot, "/usr/sbin/modinfo");
	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		const struct script_answer answers[] = { ends[i], { 0 } };
		struct error err = ERROR_INIT;
		struct detect_driver driver;
		struct script script;

		script_init(&script, answers, NULL);
		assert_int_equal(
			detect_driver(&script.runner, &sysroot->root, REL, &driver, &err),
			-1);
		assert_non_null(strstr(err.text, "asking modinfo"));
	}
}

static void a_module_that_hides_its_version_is_loaded_all_the_same(void **state)
{
	static const struct script_answer answers[] = { { NULL } };
	struct script script;
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct detect_driver driver;

	script_init(&script, answers, NULL);
	put_tool(sysroot, "/usr/bin/nvidia-smi");
	put(sysroot, "/proc/modules",
	    "nvidia_uvm 1 0\nnvidia 56807424 1219 - Live 0x0\n");
	if (detect_driver(&script.runner, &sysroot->root, REL, &driver, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(driver.loaded, "?");
}

static int refuse(struct runner *runner, const struct root *root, const struct run *run,
		  struct run_result *ret_result, struct error *err)
{
	(void)runner;
	(void)root;
	(void)run;
	(void)ret_result;
	return error_set(err, ERROR_INTERNAL, "no process");
}

static void a_command_that_cannot_be_run_is_an_error(void **state)
{
	struct runner runner = { refuse, -1 };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct detect_driver driver;

	put_tool(sysroot, "/usr/sbin/modinfo");
	assert_int_equal(detect_driver(&runner, &sysroot->root, REL, &driver, &err), -1);
	assert_non_null(strstr(err.text, "asking modinfo"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_system_without_pci_has_no_gpus),
		TEST(every_gpu_is_read_in_the_order_of_addresses),
		TEST(what_cannot_be_read_is_an_error_and_no_guest_without_gpu),
		TEST(the_os_comes_from_etc_or_usr_lib),
		TEST(an_os_release_that_is_no_file_is_an_error),
		TEST(kernels_come_with_headers_and_compiler),
		TEST(red_hats_headers_are_their_own_source),
		TEST(a_makefile_alone_is_no_headers),
		TEST(the_running_kernel_is_listed_without_a_folder_too),
		TEST(a_release_with_a_slash_is_refused),
		TEST(an_installed_driver_is_described),
		TEST(a_system_without_a_driver_says_so),
		TEST(a_modinfo_that_does_not_answer_has_not_said_none),
		TEST(a_module_that_hides_its_version_is_loaded_all_the_same),
		TEST(a_command_that_cannot_be_run_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
