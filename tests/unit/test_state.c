/* SPDX-License-Identifier: Apache-2.0 */
#include "core/state.h"

#include <string.h>

#include "base/file.h"
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
	saved.previous = driver_of("525.85.05");
	saved.installing = driver_of("535.129.03");
	saved.installing_failed = true;
	assert_int_equal(state_note(&saved, &outcome, &err), 0);
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);

	assert_int_equal(state_load(&sysroot->root, &loaded, &err), 0);
	assert_string_equal(loaded.driver.version, "525.105.17");
	assert_int_equal(loaded.driver.kind, PACKAGE_RUN);
	assert_string_equal(loaded.installing.path, saved.installing.path);
	assert_true(loaded.installing.open);
	assert_string_equal(loaded.previous.version, "525.85.05");
	assert_true(loaded.installing_failed);
	assert_string_equal(json_get_string(json_get(loaded.steps, "fetch"), "outcome"),
			    "changed");
	state_done(&saved);
	state_done(&loaded);
}

static const char *const damaged[] = { "",     "{",    "[]",
				       "null", "\xff", "{\"schema\":1,\"x\":" };

static void a_damaged_file_is_lost_and_kept_never_taken_for_empty(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, PATHS_BACKUP);
	for (size_t i = 0; i < ARRAY_SIZE(damaged); i++) {
		struct error err = ERROR_INIT;
		struct state loaded;

		root_discard(&sysroot->root, STATE_COPY);
		sysroot_write(sysroot, PATHS_STATE_FILE, damaged[i]);
		assert_int_equal(state_load(&sysroot->root, &loaded, &err), 0);
		assert_true(loaded.lost);
		state_done(&loaded);

		assert_int_equal(state_open(&sysroot->root, &loaded, &err), 0);
		assert_true(loaded.lost);
		assert_int_equal(state_refuse_lost(&loaded, &err), -1);
		sysroot_assert_text(sysroot, STATE_BAD, damaged[i]);
		state_done(&loaded);

		/* Also for the next one, until somebody has seen to it. */
		err = ERROR_INIT;
		assert_int_equal(state_open(&sysroot->root, &loaded, &err), 0);
		assert_true(loaded.lost);
		state_done(&loaded);
		root_discard(&sysroot->root, STATE_BAD);
		assert_int_equal(state_open(&sysroot->root, &loaded, &err), 0);
		assert_int_equal(state_refuse_lost(&loaded, &err), 0);
		state_done(&loaded);
	}
}

static void whichever_bit_flips_the_copy_counts(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct state saved, loaded;
	size_t size;

	assert_int_equal(state_open(&sysroot->root, &saved, &err), 0);
	saved.driver = driver_of("525.105.17");
	saved.installing = driver_of("535.129.03");
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);
	state_done(&saved);
	assert_int_equal(
		file_read(&sysroot->root, PATHS_STATE_FILE, 4096, &text, &size, &err), 0);

	for (size_t i = 0; i < size; i++) {
		text[i] ^= 1;
		assert_int_equal(file_write_atomic(&sysroot->root, PATHS_STATE_FILE, text,
						   size, 0644, &err),
				 0);
		text[i] ^= 1;
		assert_int_equal(state_open(&sysroot->root, &loaded, &err), 0);
		assert_string_equal(loaded.driver.version, "525.105.17");
		assert_string_equal(loaded.installing.version, "535.129.03");
		assert_false(loaded.lost);
		state_done(&loaded);
	}
}

/* Cut off between the two: else a state that is damaged later would be that of before. */
static void a_copy_of_before_is_renewed(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct state saved;
	bool same;

	assert_int_equal(state_open(&sysroot->root, &saved, &err), 0);
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);
	assert_int_equal(
		file_copy(&sysroot->root, STATE_COPY, PATHS_STATE "/before", &err), 0);
	saved.driver = driver_of("525.105.17");
	assert_int_equal(state_save(&sysroot->root, &saved, &err), 0);
	state_done(&saved);
	assert_int_equal(
		root_rename(&sysroot->root, PATHS_STATE "/before", STATE_COPY, &err), 0);

	assert_int_equal(state_open(&sysroot->root, &saved, &err), 0);

	assert_string_equal(saved.driver.version, "525.105.17");
	state_done(&saved);
	assert_int_equal(
		file_compare(&sysroot->root, PATHS_STATE_FILE, STATE_COPY, &same, &err),
		0);
	assert_true(same);
}

static void a_later_agents_state_is_left_alone(void **state)
{
	static const char later[] = "{\"schema\":2,\"drivers\":[]}";
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct state loaded;

	sysroot_mkdir(sysroot, PATHS_STATE);
	sysroot_write(sysroot, PATHS_STATE_FILE, later);
	assert_int_equal(state_open(&sysroot->root, &loaded, &err), -1);
	assert_int_equal(err.code, ERROR_INTERNAL);
	sysroot_assert_text(sysroot, PATHS_STATE_FILE, later);
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
		cmocka_unit_test_setup_teardown(
			a_damaged_file_is_lost_and_kept_never_taken_for_empty,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(whichever_bit_flips_the_copy_counts,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_copy_of_before_is_renewed,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_later_agents_state_is_left_alone,
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
