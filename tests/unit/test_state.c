/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static struct state_driver driver_of(const char *version)
{
	struct state_driver driver = { .kind = PACKAGE_RUN, .open = true };

	assert_true(text_copy(driver.version, sizeof(driver.version), version));
	assert_true(text_format(driver.path, sizeof(driver.path),
				STATE_BACKUP "/driver-%s.run", version));
	return driver;
}

static void what_is_saved_is_loaded(void **state)
{
	const struct sysroot *sysroot = *state;
	struct outcome outcome = { .step = "fetch",
				   .kind = OUTCOME_CHANGED,
				   .detail = "1.0 MiB",
				   .seconds = 1.5 };
	struct state saved, loaded;
	struct error err = ERROR_INIT;

	assert_int_equal(state_load(&sysroot->root, &saved, &err), 0);
	saved.driver = driver_of("525.105.17");
	saved.installing = driver_of("535.129.03");
	saved.installing_failed = true;
	assert_int_equal(state_note(&saved, &outcome, &err), 0);
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);

	assert_int_equal(state_load(&sysroot->root, &loaded, &err), 0);
	assert_string_equal(loaded.driver.version, "525.105.17");
	assert_int_equal(loaded.driver.kind, PACKAGE_RUN);
	assert_string_equal(loaded.installing.path, saved.installing.path);
	assert_true(loaded.installing.open);
	assert_true(loaded.installing_failed);
	assert_string_equal(json_get_string(json_get(loaded.steps, "fetch"), "outcome"),
			    "changed");
	state_done(&saved);
	state_done(&loaded);
}

static void a_damaged_file_is_an_empty_state(void **state)
{
	static const char *const texts[] = {
		"",
		"{",
		"[]",
		"null",
		"{\"driver\":{\"version\":\"../../x\"}}",
		"{\"driver\":\"525.105.17\",\"installing\":7}",
	};
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, STATE_DIR);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = ERROR_INIT;
		struct state loaded;

		sysroot_write(sysroot, STATE_PATH, texts[i]);
		assert_int_equal(state_load(&sysroot->root, &loaded, &err), 0);
		assert_string_equal(loaded.driver.version, "");
		assert_string_equal(loaded.installing.version, "");
		state_done(&loaded);
	}
}

static void a_step_that_changed_nothing_keeps_its_record(void **state)
{
	const struct sysroot *sysroot = *state;
	struct outcome outcome = { .step = "fetch",
				   .kind = OUTCOME_CHANGED,
				   .detail = "first" };
	struct error err = ERROR_INIT;
	struct state loaded;

	assert_int_equal(state_load(&sysroot->root, &loaded, &err), 0);
	assert_int_equal(state_note(&loaded, &outcome, &err), 0);

	outcome.kind = OUTCOME_UNCHANGED;
	(void)text_copy(outcome.detail, sizeof(outcome.detail), "second");
	assert_int_equal(state_note(&loaded, &outcome, &err), 0);

	assert_string_equal(json_get_string(json_get(loaded.steps, "fetch"), "detail"),
			    "first");
	state_done(&loaded);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_saved_is_loaded, sysroot_setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_file_is_an_empty_state,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_step_that_changed_nothing_keeps_its_record, sysroot_setup,
			sysroot_teardown),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
