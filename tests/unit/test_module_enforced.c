/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_enforced.h"

#include <string.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define ENFORCE "/sys/module/module/parameters/sig_enforce"
#define LOCKDOWN "/sys/kernel/security/lockdown"
#define EFI "/sys/firmware/efi/efivars"
#define FIRMWARE EFI "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"
#define SHIM EFI "/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23"
#define CMDLINE "/proc/cmdline"
#define CONFIG "/boot/config-6.1.0-57-amd64"

/* Each file's bytes; NULL: it is not there. */
struct guest {
	const char *what, *enforce, *lockdown, *firmware, *shim, *cmdline, *config;
	enum module_answer answer;
	bool secure_boot;
	const char *evidence;
};

static void put(const struct sysroot *sysroot, const char *path, const char *bytes)
{
	struct error err = ERROR_INIT;
	char folder[256];

	if (!bytes)
		return;
	(void)snprintf(folder, sizeof(folder), "%.*s", (int)(strrchr(path, '/') - path),
		       path);
	assert_int_equal(root_mkdir(&sysroot->root, folder, 0755, &err), 0);
	/* A variable of EFI's has NUL bytes. */
	assert_int_equal(file_write_atomic(
				 &sysroot->root, path, bytes,
				 strncmp(path, EFI, strlen(EFI)) == 0 ? 5 : strlen(bytes),
				 0644, &err),
			 0);
}

static struct module_enforced ask(const struct guest *guest)
{
	struct module_enforced found;
	void *state = NULL;

	assert_int_equal(sysroot_setup(&state), 0);
	put(state, ENFORCE, guest->enforce);
	put(state, LOCKDOWN, guest->lockdown);
	put(state, FIRMWARE, guest->firmware);
	put(state, SHIM, guest->shim);
	put(state, CMDLINE, guest->cmdline);
	put(state, "/proc/sys/kernel/osrelease", "6.1.0-57-amd64\n");
	put(state, CONFIG, guest->config);
	found = module_enforced(&((const struct sysroot *)state)->root);
	assert_int_equal(sysroot_teardown(&state), 0);
	return found;
}

#define NONE "[none] integrity confidentiality\n"
#define INTEGRITY "none [integrity] confidentiality\n"
#define ON "\6\0\0\0\1"
#define OFF "\6\0\0\0\0"

/* The first five are the boots of a real firmware with a real kernel. */
static void the_kernel_says_whether_signatures_are_enforced(void **state)
{
	static const struct guest guests[] = {
		{ "Secure Boot", "Y\n", INTEGRITY, ON, NULL, NULL, NULL, MODULE_YES, true,
		  "module.sig_enforce is on" },
		{ "Secure Boot, shim does not validate", "N\n", NONE, ON, ON, NULL, NULL,
		  MODULE_NO, false, "lockdown is none" },
		{ "sig_enforce alone", "Y\n", NONE, OFF, NULL, NULL, NULL, MODULE_YES,
		  false, "module.sig_enforce is on" },
		{ "lockdown alone", "N\n", INTEGRITY, OFF, NULL, NULL, NULL, MODULE_YES,
		  false, "lockdown is integrity" },
		{ "nothing", "N\n", NONE, OFF, NULL, NULL, NULL, MODULE_NO, false,
		  "lockdown is none" },
		{ "confidentiality", "N\n", "none integrity [confidentiality]\n", NULL,
		  NULL, NULL, NULL, MODULE_YES, false, "lockdown is confidentiality" },
		{ "no lockdown in this kernel", "N\n", NULL, ON, NULL, NULL, NULL,
		  MODULE_NO, false, "module.sig_enforce is off" },
		{ "shim does not validate, sig_enforce", "Y\n", NONE, ON, ON, NULL, NULL,
		  MODULE_YES, false, "module.sig_enforce is on" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		struct module_enforced found = ask(&guests[i]);

		if (found.answer != guests[i].answer ||
		    found.secure_boot != guests[i].secure_boot ||
		    strcmp(found.evidence, guests[i].evidence) != 0)
			fail_msg("%s: %d %d %s", guests[i].what, found.answer,
				 found.secure_boot, found.evidence);
	}
}

static void where_it_says_nothing_its_start_and_the_firmware_do(void **state)
{
	static const struct guest guests[] = {
		{ "bare", NULL, NULL, NULL, NULL, NULL, NULL, MODULE_NO, false,
		  "no UEFI" },
		{ "firmware on", NULL, NULL, ON, NULL, NULL, NULL, MODULE_YES, true,
		  "Secure Boot is on" },
		{ "firmware off", NULL, NULL, OFF, NULL, NULL, NULL, MODULE_NO, false,
		  "Secure Boot is off" },
		{ "shim", NULL, NULL, ON, ON, NULL, NULL, MODULE_NO, false,
		  "shim's validation is off" },
		{ "shim validates", NULL, NULL, ON, OFF, NULL, NULL, MODULE_YES, true,
		  "Secure Boot is on" },
		{ "command line", NULL, NULL, OFF, NULL,
		  "quiet module.sig_enforce=1 panic=-1\n", NULL, MODULE_YES, false,
		  "the kernel was started with module.sig_enforce=1" },
		{ "its last word", NULL, NULL, NULL, NULL, "quiet  lockdown=integrity\n",
		  NULL, MODULE_YES, false,
		  "the kernel was started with lockdown=integrity" },
		{ "no such word", NULL, NULL, NULL, NULL,
		  "module.sig_enforce=0 xlockdown=integrity lockdown=none\n", NULL,
		  MODULE_NO, false, "no UEFI" },
		{ "forced", NULL, NULL, NULL, NULL, NULL,
		  "#\nCONFIG_MODULE_SIG=y\nCONFIG_MODULE_SIG_FORCE=y\n", MODULE_YES,
		  false, "the kernel has CONFIG_MODULE_SIG_FORCE" },
		{ "without signatures", NULL, NULL, ON, NULL, NULL,
		  "#\n# CONFIG_MODULE_SIG is not set\n", MODULE_NO, false,
		  "the kernel has no CONFIG_MODULE_SIG" },
		{ "with them", NULL, NULL, ON, NULL, NULL, "#\nCONFIG_MODULE_SIG=y\n",
		  MODULE_YES, true, "Secure Boot is on" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(guests); i++) {
		struct module_enforced found = ask(&guests[i]);

		if (found.answer != guests[i].answer ||
		    found.secure_boot != guests[i].secure_boot ||
		    strcmp(found.evidence, guests[i].evidence) != 0)
			fail_msg("%s: %d %d %s", guests[i].what, found.answer,
				 found.secure_boot, found.evidence);
	}
}

static void a_variable_that_is_none_decides_nothing(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, EFI);
	sysroot_write(sysroot, FIRMWARE, "garbage");

	assert_int_equal(module_enforced(&sysroot->root).answer, MODULE_UNKNOWN);
}

static void what_is_off_is_not_to_be_turned_off(void **state)
{
	struct module_enforced enforced = { .answer = MODULE_YES };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(module_enforced_hint(&enforced, &err), -1);
	assert_null(strstr(err.hint, "Secure Boot off"));
	assert_non_null(strstr(err.hint, "build-modules"));
	enforced.secure_boot = true;
	assert_int_equal(module_enforced_hint(&enforced, &err), -1);
	assert_non_null(strstr(err.hint, "turn Secure Boot off"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_says_whether_signatures_are_enforced),
		cmocka_unit_test(where_it_says_nothing_its_start_and_the_firmware_do),
		cmocka_unit_test_setup_teardown(a_variable_that_is_none_decides_nothing,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test(what_is_off_is_not_to_be_turned_off),
	};

	return cmocka_run_group_tests_name("module_enforced", tests, NULL, NULL);
}
