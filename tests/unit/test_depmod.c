/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/depmod.h"

#include <string.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define KERNEL "6.1.0-37-amd64"

static int setup(void **state)
{
	char full[256];

	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/usr/sbin");
	sysroot_mkdir(*state, "/lib/modules/" KERNEL);
	sysroot_write(*state, "/usr/sbin/depmod", "#!/bin/sh\n");
	(void)snprintf(full, sizeof(full), "%s/usr/sbin/depmod",
		       ((const struct sysroot *)*state)->dir);
	return chmod(full, 0755);
}

static bool is_owed(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;
	bool owed;

	assert_int_equal(depmod_is_owed(&sysroot->root, KERNEL, &owed, &err), 0);
	return owed;
}

static void what_was_cut_off_is_made_up_for_once(void **state)
{
	static const struct script_answer answers[] = { { .match = "depmod " KERNEL },
							{ 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, answers, NULL);
	assert_int_equal(depmod_owe(&sysroot->root, KERNEL, &err), 0);
	assert_true(is_owed(sysroot));

	for (int i = 0; i < 2; i++)
		assert_int_equal(depmod_make_up(&script.runner, &sysroot->root, &err), 0);

	assert_false(is_owed(sysroot));
	assert_int_equal(script_count(&script, "depmod"), 1);
}

static void one_that_fails_or_is_killed_stays_owed(void **state)
{
	static const struct script_answer fails[] = { { .match = "depmod", .status = 1 },
						      { 0 } };
	static const struct script_answer dies[] = { { .match = "depmod", .signal = 9 },
						     { 0 } };
	const struct script_answer *const cases[] = { fails, dies };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, cases[i], NULL);
		assert_int_equal(depmod_owe(&sysroot->root, KERNEL, &err), 0);
		assert_int_equal(depmod_run(&script.runner, &sysroot->root, KERNEL, &err),
				 -1);
		assert_true(is_owed(sysroot));
	}
}

static void a_kernel_that_is_gone_owes_nothing(void **state)
{
	static const struct script_answer none[] = { { 0 } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	script_init(&script, none, NULL);
	assert_int_equal(depmod_owe(&sysroot->root, "5.10.0-gone", &err), 0);

	assert_int_equal(depmod_make_up(&script.runner, &sysroot->root, &err), 0);

	sysroot_assert_entries(sysroot, PATHS_JOURNAL, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_cut_off_is_made_up_for_once,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(one_that_fails_or_is_killed_stays_owed,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_kernel_that_is_gone_owes_nothing, setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests_name("depmod", tests, NULL, NULL);
}
