/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

static struct driver driver_of(const char *version)
{
	struct driver driver = { .kind = PACKAGE_RUN, .open = true };

	assert_true(text_copy(driver.version, sizeof(driver.version), version));
	assert_true(text_format(driver.path, sizeof(driver.path),
				PATHS_BACKUP "/driver-%s.run", version));
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

	sysroot_mkdir(sysroot, PATHS_STATE);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = ERROR_INIT;
		struct state loaded;

		sysroot_write(sysroot, PATHS_STATE_FILE, texts[i]);
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

static void end(struct state *state, const char *step, const char *warning,
		bool *ret_news)
{
	cleanup_json struct json *warnings = warning ? json_build("[s]", warning)
						     : json_build("[]");
	struct error error = ERROR_INIT, err = ERROR_INIT;

	if (step) {
		(void)error_set(&error, ERROR_NO_MATCH, "no driver fits");
		(void)error_hint(&error, "name one");
	}
	assert_int_equal(state_end(state, step, &error, warnings, ret_news, &err), 0);
}

static void what_a_run_ended_with_is_kept_until_one_ends_otherwise(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct state saved, loaded;
	bool news;

	assert_int_equal(state_load(&sysroot->root, &saved, &err), 0);
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);
	state_done(&saved);
	assert_int_equal(state_load(&sysroot->root, &saved, &err), 0);
	end(&saved, NULL, NULL, &news);
	assert_false(news);
	end(&saved, "match", "vendor_data.json: no JSON", &news);
	assert_true(news);
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);
	state_done(&saved);

	assert_int_equal(state_load(&sysroot->root, &loaded, &err), 0);
	assert_string_equal(json_get_string(loaded.trouble, "step"), "match");
	assert_string_equal(json_get_string(loaded.trouble, "message"), "no driver fits");
	assert_string_equal(json_get_string(loaded.trouble, "hint"), "name one");
	end(&loaded, "match", "vendor_data.json: no JSON", &news);
	assert_false(news);
	end(&loaded, NULL, "vendor_data.json: no JSON", &news);
	assert_true(news);
	assert_null(json_get_string(loaded.trouble, "step"));
	end(&loaded, NULL, NULL, &news);
	assert_true(news);
	assert_null(loaded.trouble);
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
		cmocka_unit_test_setup_teardown(
			what_a_run_ended_with_is_kept_until_one_ends_otherwise,
			sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
