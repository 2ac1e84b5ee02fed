/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/install/install.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define SHA1 "da39a3ee5e6b4b0d3255bfef95601890afd80709"
#define MACHINE "0123456789abcdef0123456789abcdef"
#define REL "6.1.0-37-amd64"
#define IN "usr/lib/modules/" REL "/"
#define NOUVEAU IN "kernel/drivers/gpu/drm/nouveau/nouveau.ko\n"
#define OURS "etc/modprobe.d/vgpu-guest-agent.conf\n"
#define NVIDIA IN "updates/vgpu-guest-agent/nvidia.ko\n"
#define OLD_NVIDIA IN "updates/dkms/nvidia.ko\n"
#define CLEAN "usr/bin/busybox\n"

static void add_program(const struct sysroot *sysroot, const char *name)
{
	char path[192];

	(void)snprintf(path, sizeof(path), "/usr/bin/%s", name);
	sysroot_write(sysroot, path, "");
	(void)snprintf(path, sizeof(path), "%s/usr/bin/%s", sysroot->dir, name);
	assert_int_equal(chmod(path, 0755), 0);
}

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_mkdir(*state, "/boot/0123/" REL);
	sysroot_mkdir(*state, "/boot/efi/0123/" REL);
	sysroot_mkdir(*state, "/lib/modules/" REL "/updates/vgpu-guest-agent");
	sysroot_write(*state, "/lib/modules/" REL "/updates/vgpu-guest-agent/nvidia.ko",
		      "");
	return 0;
}

static int look(const struct sysroot *sysroot, struct script *script,
		struct install_initramfs *ret_result, struct error *err)
{
	*err = ERROR_INIT;
	return install_initramfs(&script->runner, &sysroot->root, 0, ret_result, err);
}

/* What each family calls its image, and whom it has to look into it and to make it. */
static void each_familys_image_is_made_anew_by_its_own_program(void **state)
{
	static const struct {
		const char *file, *lister, *maker, *command;
	} cases[] = {
		{ "/boot/initrd.img-" REL, "lsinitramfs", "update-initramfs",
		  "/usr/bin/update-initramfs -u -k " REL "\n" },
		{ "/boot/initrd.img-" REL, "lsinitrd", "dracut",
		  "/usr/bin/dracut --force /boot/initrd.img-" REL " " REL " " },
		{ "/boot/initramfs-" REL ".img", "lsinitrd", "dracut",
		  "/usr/bin/dracut --force /boot/initramfs-" REL ".img " REL " " },
		{ "/boot/initrd-" REL, "lsinitrd", "dracut",
		  "/usr/bin/dracut --force /boot/initrd-" REL " " REL " " },
		{ "/boot/0123/" REL "/initrd", "lsinitrd", "dracut",
		  "/usr/bin/dracut --force /boot/0123/" REL "/initrd " REL " " },
		{ "/boot/efi/0123/" REL "/initrd", "lsinitrd", "dracut",
		  "/usr/bin/dracut --force /boot/efi/0123/" REL "/initrd " REL " " },
		{ "/boot/efi/0123/" REL "/initrd-" SHA1, "lsinitrd", "dracut",
		  "/usr/bin/dracut --force /boot/efi/0123/" REL "/initrd-" SHA1 " " REL
		  " " },
		{ "/boot/initramfs-linux.img", "lsinitcpio", "mkinitcpio",
		  "/usr/bin/mkinitcpio -k " REL " -g /boot/initramfs-linux.img\n" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = cases[i].lister, .output = NOUVEAU, .times = 1 },
			{ .match = cases[i].lister, .output = CLEAN },
			{ .match = cases[i].maker },
			{ 0 },
		};
		struct install_initramfs result;
		struct error err;
		struct script script;

		sysroot_write(*state, cases[i].file, "");
		sysroot_write(*state, "/lib/modules/" REL "/pkgbase", "linux\n");
		add_program(*state, cases[i].lister);
		add_program(*state, cases[i].maker);
		script_init(&script, answers, NULL);

		assert_int_equal(look(*state, &script, &result, &err), 0);

		assert_true(result.changed);
		assert_string_equal(result.warning, "");
		if (!strstr(script.log, cases[i].command))
			fail_msg("%s: %s", cases[i].file, script.log);
		assert_int_equal(script_count(&script, cases[i].lister), 2);
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

/* dracut brings an update-initramfs of its own, which knows of no blacklist. */
static void a_program_that_leaves_it_in_there_gives_the_next(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "lsinitramfs", .output = NOUVEAU, .times = 2 },
		{ .match = "lsinitramfs", .output = CLEAN },
		{ .match = "update-initramfs" },
		{ .match = "dracut" },
		{ 0 },
	};
	struct install_initramfs result;
	struct error err;
	struct script script;

	sysroot_write(*state, "/boot/initrd.img-" REL, "");
	add_program(*state, "lsinitramfs");
	add_program(*state, "update-initramfs");
	add_program(*state, "dracut");
	script_init(&script, answers, NULL);
	assert_int_equal(look(*state, &script, &result, &err), 0);
	assert_string_equal(result.warning, "");
	assert_int_equal(script_count(&script, "update-initramfs -u"), 1);
	assert_int_equal(script_count(&script, "dracut --force"), 1);
}

/* What boots as one file is not replaced by a part of it: it is said. */
static void a_unified_kernel_image_is_looked_into_and_left_alone(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "lsinitrd", .output = NOUVEAU },
		{ 0 },
	};
	struct install_initramfs result;
	struct error err;
	struct script script;

	sysroot_mkdir(*state, "/boot/efi/EFI/Linux");
	sysroot_write(*state, "/boot/efi/EFI/Linux/" MACHINE "-" REL ".efi", "");
	add_program(*state, "lsinitrd");
	add_program(*state, "dracut");
	add_program(*state, "mkinitcpio");
	script_init(&script, answers, NULL);
	assert_int_equal(look(*state, &script, &result, &err), 0);
	assert_false(result.changed);
	assert_non_null(strstr(result.warning, REL ".efi: the module nouveau stays"));
}

static void only_what_must_not_be_in_it_has_it_made_anew(void **state)
{
	static const struct {
		const char *file, *listing;
		bool anew;
	} cases[] = {
		{ "/boot/initrd.img-" REL, "-rw-r--r-- 1 root 9 Nov 30 " NOUVEAU, true },
		{ "/boot/initrd.img-" REL, IN "kernel/nova-core.ko.zst\n", true },
		{ "/boot/initrd.img-" REL, IN "kernel/nova_drm.ko.xz\n", true },
		{ "/boot/initrd.img-" REL, OLD_NVIDIA, true },
		{ "/boot/initrd.img-" REL, OURS OLD_NVIDIA, true },
		{ "/boot/initrd.img-" REL, NVIDIA, false },
		{ "/boot/initrd.img-" REL, NOUVEAU OURS, false },
		{ "/boot/initrd.img-" REL, IN "kernel/nvidiafb.ko\n", false },
		{ "/boot/initrd.img-" REL, IN "kernel/nouveau.ko.gz\nx.ko\n", true },
		{ "/boot/initrd.img-" REL, IN "kernel/nouveau.conf\n", false },
		{ "/boot/initrd.img-" REL, CLEAN, false },
		/* Of no kernel of this system, and no initramfs at all. */
		{ "/boot/initramfs-0-rescue-abc.img", NOUVEAU, false },
		{ "/boot/vmlinuz-" REL, NOUVEAU, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "lsinitramfs",
			  .output = cases[i].listing,
			  .times = 1 },
			{ .match = "lsinitramfs", .output = CLEAN },
			{ .match = "update-initramfs" },
			{ 0 },
		};
		struct install_initramfs result;
		struct error err;
		struct script script;

		sysroot_write(*state, cases[i].file, "");
		add_program(*state, "lsinitramfs");
		add_program(*state, "update-initramfs");
		script_init(&script, answers, NULL);
		assert_int_equal(look(*state, &script, &result, &err), 0);
		if (result.changed != cases[i].anew)
			fail_msg("%s: %s", cases[i].file, cases[i].listing);
		assert_string_equal(result.warning, "");
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

/* The module was put there after the image was made: the image holds the one before. */
static void an_nvidia_that_is_older_than_the_systems_goes(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "lsinitramfs", .output = NVIDIA },
		{ .match = "update-initramfs" },
		{ 0 },
	};
	const struct sysroot *sysroot = *state;
	const struct timespec later[] = { { .tv_sec = 4000000000 },
					  { .tv_sec = 4000000000 } };
	struct install_initramfs result;
	struct error err;
	struct script script;
	char path[256];

	sysroot_write(sysroot, "/boot/initrd.img-" REL, "");
	add_program(sysroot, "lsinitramfs");
	add_program(sysroot, "update-initramfs");
	(void)snprintf(path, sizeof(path),
		       "%s/lib/modules/" REL "/updates/vgpu-guest-agent/nvidia.ko",
		       sysroot->dir);
	assert_int_equal(utimensat(AT_FDCWD, path, later, 0), 0);
	script_init(&script, answers, NULL);

	assert_int_equal(look(sysroot, &script, &result, &err), 0);

	assert_true(result.changed);
	assert_non_null(strstr(result.warning, "the module nvidia stays in it"));
}

static void what_nobody_can_say_or_mend_is_said(void **state)
{
	static const struct {
		const char *lister, *maker, *listing, *says;
		int status;
	} cases[] = {
		{ NULL, NULL, "", "not known", 0 },
		{ "lsinitrd", "dracut", "", "not known", 0 },
		{ "lsinitrd", "dracut", NOUVEAU, "not known", 1 },
		{ "lsinitrd", "dracut", NOUVEAU, "the module nouveau stays in it", 0 },
		{ "lsinitrd", NULL, NOUVEAU, "the module nouveau stays in it", 0 },
		{ "lsinitrd", NULL, OLD_NVIDIA, "the module nvidia stays in it", 0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "lsinitrd",
			  .output = cases[i].listing,
			  .status = cases[i].status },
			{ .match = "dracut" },
			{ 0 },
		};
		struct install_initramfs result;
		struct error err;
		struct script script;

		sysroot_write(*state, "/boot/initramfs-" REL ".img", "");
		if (cases[i].lister)
			add_program(*state, cases[i].lister);
		if (cases[i].maker)
			add_program(*state, cases[i].maker);
		script_init(&script, answers, NULL);
		assert_int_equal(look(*state, &script, &result, &err), 0);
		if (!strstr(result.warning, cases[i].says))
			fail_msg("%zu: %s", i, result.warning);
		assert_non_null(strstr(result.warning, "/boot/initramfs-" REL ".img"));
		(void)sysroot_teardown(state);
		(void)setup(state);
	}
}

static void a_failing_initramfs_is_an_error(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "lsinitramfs", .output = NOUVEAU },
		{ .match = "update-initramfs", .status = 1, .output = "no room\n" },
		{ 0 },
	};
	struct install_initramfs result;
	struct error err;
	struct script script;

	sysroot_write(*state, "/boot/initrd.img-" REL, "");
	add_program(*state, "lsinitramfs");
	add_program(*state, "update-initramfs");
	script_init(&script, answers, NULL);

	assert_int_equal(look(*state, &script, &result, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text, "taking nouveau out of /boot/initrd.img-" REL
				      ": update-initramfs: exit status 1: no room");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(each_familys_image_is_made_anew_by_its_own_program),
		TEST(a_program_that_leaves_it_in_there_gives_the_next),
		TEST(a_unified_kernel_image_is_looked_into_and_left_alone),
		TEST(only_what_must_not_be_in_it_has_it_made_anew),
		TEST(an_nvidia_that_is_older_than_the_systems_goes),
		TEST(what_nobody_can_say_or_mend_is_said),
		TEST(a_failing_initramfs_is_an_error),
	};

	return cmocka_run_group_tests_name("install_initramfs", tests, NULL, NULL);
}
