/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/signing.h"

#include <string.h>

#include "base/file.h"
#include "support/cmocka.h"
#include "support/stage.h"

#define EFI "/sys/firmware/efi/efivars"
#define VARIABLE EFI "/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static void set_secure_boot(const struct sysroot *sysroot, char on)
{
	const char value[] = { 6, 0, 0, 0, on };
	struct error err = ERROR_INIT;

	sysroot_mkdir(sysroot, EFI);
	assert_int_equal(file_write_atomic(&sysroot->root, VARIABLE, value, sizeof(value),
					   0644, &err),
			 0);
}

static void without_secure_boot_any_module_is_taken(void **state)
{
	struct error err = ERROR_INIT;
	struct stage stage;

	stage_set(&stage, *state);
	assert_int_equal(signing_check(&stage.ctx, &err), 0);
	set_secure_boot(*state, 0);
	assert_int_equal(signing_check(&stage.ctx, &err), 0);
}

static void with_it_a_key_is_needed_unless_nothing_is_loaded(void **state)
{
	struct error err = ERROR_INIT;
	struct stage stage;

	set_secure_boot(*state, 1);
	stage_set(&stage, *state);
	assert_int_equal(signing_check(&stage.ctx, &err), -1);
	assert_int_equal(err.code, ERROR_SECURE_BOOT);
	assert_non_null(strstr(err.hint, "signing.key"));

	stage.ctx.offline = true;
	assert_int_equal(signing_check(&stage.ctx, &err), 0);
	stage.ctx.offline = false;
	(void)strcpy(stage.ctx.settings.signing.key, "/key.pem");
	assert_int_equal(signing_check(&stage.ctx, &err), 0);
}

static void without_a_key_nothing_is_signed(void **state)
{
	static const struct script_answer none[] = { { 0 } };
	const struct kernel kernel = { .release = "6.1.0-37-cloud-amd64" };
	const struct build_result built = { .count = 1, .modules = { "/nvidia.ko" } };
	struct error err = ERROR_INIT;
	struct script script;
	struct stage stage;

	stage_set(&stage, *state);
	script_init(&script, none, NULL);
	stage.ctx.runner = &script.runner;
	assert_int_equal(signing_sign(&stage.ctx, &kernel, &built, &err), 0);

	(void)strcpy(stage.ctx.settings.signing.key, "/key.pem");
	assert_int_equal(signing_sign(&stage.ctx, &kernel, &built, &err), -1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(without_secure_boot_any_module_is_taken),
		TEST(with_it_a_key_is_needed_unless_nothing_is_loaded),
		TEST(without_a_key_nothing_is_signed),
	};

	return cmocka_run_group_tests_name("signing", tests, NULL, NULL);
}
