/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_trusted.h"

#include "support/cmocka.h"
#include "support/sysroot.h"

static void the_kernels_list_of_keys_decides(void **state)
{
	const struct sysroot *sysroot = *state;

	assert_int_equal(module_trusted(&sysroot->root, "ab01"), MODULE_UNKNOWN);
	sysroot_mkdir(sysroot, "/proc");
	sysroot_write(sysroot, "/proc/keys", "");
	assert_int_equal(module_trusted(&sysroot->root, "ab01"), MODULE_UNKNOWN);
	sysroot_write(sysroot, "/proc/keys",
		      "0035c522 I------     1 perm 1f030000     0     0 asymmetri "
		      "Acme: ab01: X509.rsa ab01 []\n");
	assert_int_equal(module_trusted(&sysroot->root, "ab01"), MODULE_YES);
	assert_int_equal(module_trusted(&sysroot->root, "ab02"), MODULE_NO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_kernels_list_of_keys_decides,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("module_trusted", tests, NULL, NULL);
}
