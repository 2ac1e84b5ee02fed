/* wrap: fstatvfs fstatvfs64 */
/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/depmod.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/full.h"
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

#define DIR "/lib/modules/" KERNEL
static const char *const indexes[] = {
	DIR "/modules.dep",       DIR "/modules.dep.bin", DIR "/modules.alias",
	DIR "/modules.alias.bin", DIR "/modules.symbols", DIR "/modules.symbols.bin"
};

struct depmod {
	const struct sysroot *sysroot;
	size_t misses; /* this index is not written */
	bool in_place; /* as busybox's depmod writes */
};

static void write_index(const struct sysroot *sysroot, const char *path, bool in_place)
{
	char full[512], beside[600];

	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	(void)snprintf(beside, sizeof(beside), "%s.new", full);
	FILE *file = fopen(in_place ? full : beside, "we");
	assert_non_null(file);
	assert_true(fputs("index\n", file) >= 0);
	assert_int_equal(fclose(file), 0);
	if (!in_place)
		assert_int_equal(rename(beside, full), 0);
}

static void write_indexes(struct script *script, const struct run *run)
{
	const struct depmod *depmod = script->context;

	(void)run;
	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		if (i != depmod->misses)
			write_index(depmod->sysroot, indexes[i], depmod->in_place);
	}
}

/* Its status does not tell: a full disk, and kmod's depmod goes on and ends with 0. */
static void one_that_left_an_index_as_it_was_stays_owed(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "depmod", .act = write_indexes }, { 0 }
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++)
		write_index(sysroot, indexes[i], false);
	for (size_t i = 0; i <= ARRAY_SIZE(indexes); i++) {
		struct depmod depmod = { .sysroot = sysroot, .misses = i };
		bool all = i == ARRAY_SIZE(indexes);
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, answers, &depmod);
		assert_int_equal(depmod_owe(&sysroot->root, KERNEL, &err), 0);
		assert_int_equal(depmod_run(&script.runner, &sysroot->root, KERNEL, &err),
				 all ? 0 : -1);
		assert_int_equal(is_owed(sysroot), !all);
		if (!all)
			assert_non_null(strstr(err.text, indexes[i]));
	}
}

static void one_that_writes_in_place_counts_too(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "depmod", .act = write_indexes }, { 0 }
	};
	const struct sysroot *sysroot = *state;
	struct depmod depmod = { .sysroot = sysroot,
				 .misses = ARRAY_SIZE(indexes),
				 .in_place = true };
	static const struct timespec past[2] = { { .tv_sec = 1 }, { .tv_sec = 1 } };
	struct error err = ERROR_INIT;
	struct script script;

	for (size_t i = 0; i < ARRAY_SIZE(indexes); i++) {
		char full[512];

		write_index(sysroot, indexes[i], false);
		(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, indexes[i]);
		assert_int_equal(utimensat(AT_FDCWD, full, past, 0), 0);
	}
	script_init(&script, answers, &depmod);

	assert_int_equal(depmod_run(&script.runner, &sysroot->root, KERNEL, &err), 0);
}

static void what_a_killed_depmod_left_goes(void **state)
{
	static const struct script_answer answers[] = { { .match = "depmod" }, { 0 } };
	static const struct {
		const char *name;
		bool goes;
	} rows[] = {
		{ "modules.dep.2147483647.400190.1796085836", true },
		{ "modules.builtin.alias.bin.2147483647.1.1796085836", true },
		{ "modules.alias.1.400190.1796085836", false }, /* process 1 lives */
		{ "modules.dep.2147483647.400190", false },
		{ "modules.dep.2147483647.old.1796085836", false },
		{ "notes.2147483647.400190.1796085836", false },
		{ "modules.weakdep", false },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[256];

		(void)snprintf(path, sizeof(path), DIR "/%s", rows[i].name);
		sysroot_write(sysroot, path, "");
	}
	script_init(&script, answers, NULL);

	assert_int_equal(depmod_run(&script.runner, &sysroot->root, KERNEL, &err), 0);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char path[256];
		bool there;

		(void)snprintf(path, sizeof(path), DIR "/%s", rows[i].name);
		assert_int_equal(root_exists(&sysroot->root, path, &there, &err), 0);
		assert_int_equal(there, !rows[i].goes);
	}
}

static void a_full_disk_is_why_it_failed(void **state)
{
	static const struct script_answer fails[] = { { .match = "depmod", .status = 1 },
						      { 0 } };
	const struct sysroot *sysroot = *state;

	for (int full = 0; full < 2; full++) {
		struct error err = ERROR_INIT;
		struct script script;

		script_init(&script, fails, NULL);
		full_now = full;
		assert_int_equal(depmod_run(&script.runner, &sysroot->root, KERNEL, &err),
				 -1);
		full_now = false;
		assert_int_equal(err.code, full ? ERROR_PREREQUISITES : ERROR_INSTALL);
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
		cmocka_unit_test_setup_teardown(
			one_that_left_an_index_as_it_was_stays_owed, setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(one_that_writes_in_place_counts_too,
						setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_a_killed_depmod_left_goes, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_full_disk_is_why_it_failed, setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_kernel_that_is_gone_owes_nothing, setup,
						sysroot_teardown),
	};

	return cmocka_run_group_tests_name("depmod", tests, NULL, NULL);
}
