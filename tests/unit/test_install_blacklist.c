/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/install/install.h"

#include "support/cmocka.h"
#include "support/sysroot.h"

static void the_file_is_written_once(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	bool changed = false;

	assert_int_equal(install_blacklist(&sysroot->root, &changed, &err), 0);
	assert_true(changed);
	assert_int_equal(install_blacklist(&sysroot->root, &changed, &err), 0);
	assert_false(changed);

	sysroot_assert_text(*state, PATHS_BLACKLIST,
			    "# Written by vgpu-guest-agent: these drivers would take the "
			    "GPU from NVIDIA's.\n"
			    "blacklist nouveau\nblacklist nova_core\nblacklist nova_drm\n"
			    "options nouveau modeset=0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(the_file_is_written_once, sysroot_setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests_name("install_blacklist", tests, NULL, NULL);
}
