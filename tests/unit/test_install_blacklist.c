/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/install/install.h"

#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define REL "6.1.0-37-amd64"
#define NOUVEAU "usr/lib/modules/" REL "/kernel/drivers/gpu/drm/nouveau/nouveau.ko\n"
#define OURS "etc/modprobe.d/vgpu-guest-agent.conf\n"

static int setup(void **state)
{
	static const char *const programs[] = { "lsinitramfs", "lsinitrd", "dracut",
						"update-initramfs" };

	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/bin");
	sysroot_mkdir(*state, "/boot");
	sysroot_mkdir(*state, "/lib/modules/" REL);
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

static int blacklist(const struct sysroot *sysroot, struct script *script,
		     bool *ret_changed, struct error *err)
{
	*err = ERROR_INIT;
	return install_blacklist(&script->runner, &sysroot->root, 0, ret_changed, err);
}

static void the_file_is_written_once(void **state)
{
	static const struct script_answer answers[] = { { 0 } };
	struct error err;
	struct script script;
	bool changed = false;

	script_init(&script, answers, NULL);

	assert_int_equal(blacklist(*state, &script, &changed, &err), 0);
	assert_true(changed);
	assert_int_equal(blacklist(*state, &script, &changed, &err), 0);
	assert_false(changed);

	sysroot_assert_text(*state, PATHS_BLACKLIST,
			    "# Written by vgpu-guest-agent: these drivers would take the "
			    "GPU from NVIDIA's.\n"
			    "blacklist nouveau\nblacklist nova_core\nblacklist nova_drm\n"
			    "options nouveau modeset=0\n");
}

static void an_initramfs_is_made_anew_only_for_nouveau(void **state)
{
	static const struct {
		const char *file, *listing, *make;
	} cases[] = {
		{ "/boot/initrd.img-" REL, NOUVEAU,
		  "/usr/bin/update-initramfs -u -k " REL "\n" },
		{ "/boot/initramfs-" REL ".img", "-rw-r--r-- 1 root " NOUVEAU,
		  "/usr/bin/dracut --force /boot/initramfs-" REL ".img " REL "\n" },
		{ "/boot/initrd.img-" REL, NOUVEAU OURS, NULL },
		{ "/boot/initrd.img-" REL, "usr/bin/busybox\n", NULL },
		/* Of no kernel of this system, and no initramfs at all. */
		{ "/boot/initramfs-0-rescue-abc.img", NOUVEAU, NULL },
		{ "/boot/vmlinuz-" REL, NOUVEAU, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = "/usr/bin/lsinit", .output = cases[i].listing },
			{ .match = cases[i].make ? cases[i].make : "none" },
			{ 0 },
		};
		struct error err;
		struct script script;
		bool changed = false;

		sysroot_write(*state, cases[i].file, "");
		script_init(&script, answers, NULL);
		assert_int_equal(blacklist(*state, &script, &changed, &err), 0);
		assert_int_equal(script_count(&script, "update-initramfs") +
					 script_count(&script, "dracut"),
				 cases[i].make ? 1 : 0);
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
	struct error err;
	struct script script;
	bool changed;

	sysroot_write(*state, "/boot/initrd.img-" REL, "");
	script_init(&script, answers, NULL);

	assert_int_equal(blacklist(*state, &script, &changed, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text, "taking nouveau out of /boot/initrd.img-" REL
				      ": update-initramfs: exit status 1: no room");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_file_is_written_once),
		TEST(an_initramfs_is_made_anew_only_for_nouveau),
		TEST(a_failing_initramfs_is_an_error),
	};

	return cmocka_run_group_tests_name("install_blacklist", tests, NULL, NULL);
}
