/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/labels.h"

#include <string.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define KERNEL "/lib/modules/6.1.0-37-amd64"
#define RULES "/etc/selinux/targeted/contexts/files/file_contexts"
#define RECORD "1.0-5509007 (550.90.07)\nNVIDIA driver\n"

static const struct script_answer well[] = { { .match = "restorecon -R " },
					     { .match = "setfiles -i " RULES " " },
					     { 0 } };
static const struct script_answer fails[] = {
	{ .match = "restorecon", .output = "no label", .status = 1 },
	{ .match = "setfiles", .output = "no label", .status = 255 },
	{ 0 }
};

/* A running system with a driver of each kind of file, and SELinux as it is told. */
static void make_guest(const struct sysroot *sysroot, bool is_on)
{
	static const char *const files[] = { KERNEL "/modules.dep.bin",
					     "/usr/bin/nvidia-gridd",
					     "/etc/ld.so.cache",
					     "/etc/modprobe.d/nvidia.conf",
					     PATHS_GRIDD_CONF,
					     PATHS_UNIT_FILE,
					     PATHS_STATE_FILE,
					     KERNEL "/updates/dkms/nvidia.ko",
					     KERNEL "/kernel/fs/ext4.ko",
					     KERNEL "/build/Makefile" };

	sysroot_empty(sysroot);
	sysroot_mkdir(sysroot, "/usr/sbin");
	sysroot_program(sysroot, "/usr/sbin/restorecon");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char folder[128];
		struct stat st;

		(void)snprintf(folder, sizeof(folder), "%s", files[i]);
		*strrchr(folder, '/') = '\0';
		if (!root_stat(&sysroot->root, folder, &st))
			sysroot_mkdir(sysroot, folder);
		sysroot_write(sysroot, files[i], "");
	}
	sysroot_mkdir(sysroot, PATHS_GRIDD_STATE);
	sysroot_write(sysroot, PATHS_GRIDD_STATE "/log",
		      RECORD
		      "1: /usr/bin/nvidia-gridd\n123\n1: /usr/bin/nvidia-smi\n456\n");
	sysroot_mkdir(sysroot, "/sys/fs/selinux");
	if (is_on) {
		sysroot_write(sysroot, "/sys/fs/selinux/enforce", "0");
		sysroot_mkdir(sysroot, "/etc/selinux");
		sysroot_write(sysroot, "/etc/selinux/config", "SELINUX=permissive\n");
	}
}

static bool has_word(const char *line, const char *word)
{
	for (const char *at = strstr(line, word); at; at = strstr(at + 1, word)) {
		if (at[-1] == ' ' && strchr(" \n", at[strlen(word)]))
			return true;
	}
	return false;
}

static void all_that_an_installation_writes_is_labelled(void **state)
{
	static const char *const named[] = {
		"/usr/bin/nvidia-gridd",
		KERNEL "/updates",
		KERNEL "/modules.dep.bin",
		"/etc/ld.so.cache",
		"/etc/modprobe.d",
		PATHS_NVIDIA,
		PATHS_UNIT_FILE,
		PATHS_GRIDD_STATE,
		PATHS_STATE, /* where the package was renamed to */
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	make_guest(sysroot, true);
	script_init(&script, well, NULL);

	assert_int_equal(labels_restore(&script.runner, &sysroot->root, &err), 0);

	assert_int_equal(script_count(&script, "restorecon"), 1);
	for (size_t i = 0; i < ARRAY_SIZE(named); i++) {
		if (!has_word(script.log, named[i]))
			fail_msg("nobody labels %s", named[i]);
	}
	/* What is not there, restorecon would fail over. */
	assert_false(has_word(script.log, "/usr/bin/nvidia-smi"));
	assert_false(has_word(script.log, PATHS_DKMS_REGISTRY));
	assert_int_equal(script_count(&script, KERNEL "/kernel"), 0);
	assert_int_equal(script_count(&script, KERNEL "/build"), 0);
}

static void where_selinux_is_off_nothing_is_started(void **state)
{
	static const struct script_answer nothing[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	make_guest(sysroot, false);
	script_init(&script, nothing, NULL);
	assert_int_equal(labels_restore(&script.runner, &sysroot->root, &err), 0);

	/* The kernel has it, and there is no policy. */
	sysroot_write(sysroot, "/sys/fs/selinux/enforce", "0");
	assert_int_equal(labels_restore(&script.runner, &sysroot->root, &err), 0);
}

static void what_could_not_be_labelled_is_told(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	make_guest(sysroot, true);
	script_init(&script, fails, NULL);
	assert_int_equal(labels_restore(&script.runner, &sysroot->root, &err), -1);
	assert_non_null(strstr(err.text, "no label"));

	root_discard(&sysroot->root, "/usr/sbin/restorecon");
	assert_int_equal(labels_restore(&script.runner, &sysroot->root, &err), -1);
	assert_int_equal(err.code, ERROR_PREREQUISITES);
}

struct image {
	const char *config; /* NULL: there is none */
	bool rules, program, system;
	const struct script_answer *answers;
	enum labels_kind expected;
};

static void make_image(const struct sysroot *sysroot, const struct image *image)
{
	sysroot_empty(sysroot);
	sysroot_mkdir(sysroot, "/usr/sbin");
	sysroot_mkdir(sysroot, "/etc/selinux/targeted/contexts/files");
	if (image->config)
		sysroot_write(sysroot, "/etc/selinux/config", image->config);
	if (image->rules)
		sysroot_write(sysroot, RULES, "");
	if (image->program)
		sysroot_program(sysroot, "/usr/sbin/setfiles");
	if (!image->system)
		return;
	sysroot_mkdir(sysroot, "/proc");
	sysroot_write(sysroot, "/proc/cpuinfo", "");
	sysroot_mkdir(sysroot, "/dev/fd");
}

static void an_image_is_labelled_now_or_at_its_first_boot(void **state)
{
#define TARGETED "# a comment\nSELINUX=enforcing\n SELINUXTYPE=targeted \n"
	static const struct image images[] = {
		{ TARGETED, true, true, true, well, LABELS_SET },
		{ "SELINUX=permissive\nSELINUXTYPE=targeted\n", true, true, true, well,
		  LABELS_SET },
		{ NULL, true, true, true, well, LABELS_NONE },
		{ "SELINUX=disabled\nSELINUXTYPE=targeted\n", true, true, true, well,
		  LABELS_NONE },
		{ "SELINUX=enforcing\nSELINUXTYPE=../etc\n", true, true, true, well,
		  LABELS_NONE },
		{ "SELINUX=enforcing\n", true, true, true, well, LABELS_NONE },
		{ TARGETED, false, true, true, well, LABELS_NONE },
		{ TARGETED, true, false, true, well, LABELS_AT_BOOT },
		{ TARGETED, true, true, false, well, LABELS_AT_BOOT },
		{ TARGETED, true, true, true, fails, LABELS_AT_BOOT },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(images); i++) {
		struct error err = ERROR_INIT;
		struct script script;
		struct labels labels;
		bool at_boot;

		make_image(sysroot, &images[i]);
		script_init(&script, images[i].answers, NULL);

		assert_int_equal(
			labels_set_image(&script.runner, &sysroot->root, &labels, &err),
			0);

		assert_int_equal(
			root_exists(&sysroot->root, "/.autorelabel", &at_boot, &err), 0);
		if (labels.kind != images[i].expected ||
		    at_boot != (labels.kind == LABELS_AT_BOOT) ||
		    at_boot != (labels.why[0] != '\0'))
			fail_msg("image %zu: %d %s", i, labels.kind, labels.why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			all_that_an_installation_writes_is_labelled, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(where_selinux_is_off_nothing_is_started,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_could_not_be_labelled_is_told,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			an_image_is_labelled_now_or_at_its_first_boot, sysroot_setup,
			sysroot_teardown),
	};

	return cmocka_run_group_tests_name("labels", tests, NULL, NULL);
}
