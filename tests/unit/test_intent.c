/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/intent.h"

#include <string.h>

#include "base/file.h"
#include "fault/fault.h"
#include "model/paths.h"
#include "steps/install/remove.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define ENTRY PATHS_JOURNAL "/gridd.conf.json"
#define BACKUP PATHS_BACKUP_CONF

static struct span ours(void)
{
	return span_of("ours\n");
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

/* Begins, writes, ends; the nth of their calls fails. False when all went well. */
static bool change(const struct sysroot *sysroot, int nth)
{
	const struct root *root = &sysroot->root;
	struct error err = ERROR_INIT;
	bool failed;

	fault_arm(nth);
	failed = intent_begin(root, INTENT_CONF, PATHS_GRIDD_CONF, ours(), &err) < 0 ||
		 file_write_atomic(root, PATHS_GRIDD_CONF, "ours\n", 5, 0644, &err) < 0 ||
		 intent_end(root, INTENT_CONF, &err) < 0;
	fault_arm(0);
	return failed;
}

static void take_away(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;
	const char *what;
	bool changed;

	assert_int_equal(intent_recover(&sysroot->root, &err), 0);
	assert_int_equal(
		remove_configuration(&sysroot->root, false, &changed, &what, &err), 0);
}

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, "/etc/nvidia");
	return 0;
}

static void wherever_it_is_cut_off_the_old_file_comes_back(void **state)
{
	static const char *const before[] = { "the operator's\n", NULL };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		bool failed = true;

		for (int nth = 1; failed; nth++) {
			struct error err = ERROR_INIT;

			assert_int_equal(root_remove_tree(&sysroot->root, "/var", &err),
					 0);
			root_discard(&sysroot->root, PATHS_GRIDD_CONF);
			if (before[i])
				sysroot_write(sysroot, PATHS_GRIDD_CONF, before[i]);

			failed = change(sysroot, nth);
			take_away(sysroot);

			assert_false(is_there(sysroot, ENTRY));
			if (before[i])
				sysroot_assert_text(sysroot, PATHS_GRIDD_CONF, before[i]);
			else
				assert_false(is_there(sysroot, PATHS_GRIDD_CONF));
		}
	}
}

static void what_others_write_after_a_cut_is_not_taken_for_ours(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	assert_int_equal(
		intent_begin(&sysroot->root, INTENT_CONF, PATHS_GRIDD_CONF, ours(), &err),
		0);
	sysroot_write(sysroot, PATHS_GRIDD_CONF, "written by hand\n");

	take_away(sysroot);

	sysroot_assert_text(sysroot, PATHS_GRIDD_CONF, "written by hand\n");
}

static void what_is_kept_stays_the_first(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, PATHS_GRIDD_CONF, "first\n");
	assert_false(change(sysroot, 0));
	sysroot_write(sysroot, PATHS_GRIDD_CONF, "second\n");
	assert_false(change(sysroot, 0));

	sysroot_assert_text(sysroot, BACKUP, "first\n");
}

static void the_note_tells_whose_the_file_is(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct intent_note note;

	assert_int_equal(
		intent_look(&sysroot->root, INTENT_CONF, PATHS_GRIDD_CONF, &note, &err),
		0);
	assert_false(note.known);

	assert_false(change(sysroot, 0));
	assert_int_equal(
		intent_look(&sysroot->root, INTENT_CONF, PATHS_GRIDD_CONF, &note, &err),
		0);
	assert_true(note.known && note.ours && !note.was_there);

	sysroot_write(sysroot, PATHS_GRIDD_CONF, "edited\n");
	assert_int_equal(
		intent_look(&sysroot->root, INTENT_CONF, PATHS_GRIDD_CONF, &note, &err),
		0);
	assert_true(note.known && !note.ours);
}

static void a_damaged_entry_is_an_error_with_its_path(void **state)
{
	static const char *const texts[] = { "", "{", "{\"schema\":2}", "[]",
					     "{\"schema\":1,\"path\":\"/x\"}" };
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, PATHS_JOURNAL);
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		struct error err = ERROR_INIT;

		sysroot_write(sysroot, ENTRY, texts[i]);
		assert_int_equal(intent_recover(&sysroot->root, &err), -1);
		assert_non_null(strstr(err.text, ENTRY));
		assert_non_null(strstr(err.hint, ENTRY));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			wherever_it_is_cut_off_the_old_file_comes_back, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			what_others_write_after_a_cut_is_not_taken_for_ours, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_is_kept_stays_the_first, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_note_tells_whose_the_file_is, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_damaged_entry_is_an_error_with_its_path,
						setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("intent", tests, NULL, NULL);
}
