/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/work.h"

#include <string.h>

#include "model/paths.h"
#include "steps/depmod.h"
#include "support/cmocka.h"
#include "support/stage.h"

#define FIRST "6.1.0-37-cloud-amd64"
#define SECOND "6.1.0-38-cloud-amd64"
#define VERSION "550.90.07"

static struct guest guest;

static void set(struct stage *stage, const struct sysroot *sysroot)
{
	stage_set(stage, sysroot);
	guest = (struct guest){ .target_count = 2,
				.targets = { { .release = FIRST },
					     { .release = SECOND } },
				.installed = { .version = VERSION } };
}

static void dkms_builds_only_where_it_can_count(void **state)
{
	static const struct {
		const char *dkms, *package;
		enum job job;
		enum package_kind kind;
		bool expected;
	} rows[] = {
		{ "yes", "auto", JOB_RUN, PACKAGE_RUN, true },
		{ "no", "auto", JOB_RUN, PACKAGE_RUN, false },
		{ "yes", "deb", JOB_RUN, PACKAGE_NONE, false },
		{ "yes", "rpm", JOB_RUN, PACKAGE_NONE, false },
		{ "yes", "auto", JOB_RUN, PACKAGE_DEB, false },
		{ "yes", "auto", JOB_MODULES, PACKAGE_RUN, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct stage stage;
		struct work work;

		set(&stage, *state);
		(void)strcpy(stage.ctx.settings.driver.dkms, rows[i].dkms);
		(void)strcpy(stage.ctx.settings.driver.package, rows[i].package);
		stage.ctx.job = rows[i].job;
		work_begin(&stage.ctx, &guest, &work);
		work.driver.kind = rows[i].kind;
		assert_int_equal(work_by_dkms(&work), rows[i].expected);
		work_done(&work);
	}
}

static void the_way_back_knows_of_no_modules(void **state)
{
	const struct driver old = { .kind = PACKAGE_RUN,
				    .version = VERSION,
				    .open = true };
	struct stage stage;
	struct work work, back;

	set(&stage, *state);
	work_begin(&stage.ctx, &guest, &work);
	work.targets[0].done = true;
	work.targets[1].built.count = 3;
	work.whole = true;

	work_back(&work, &old, &back);

	assert_true(back.way_back && back.driver.open);
	assert_string_equal(back.driver.version, VERSION);
	assert_int_equal(back.target_count, 2);
	assert_string_equal(back.targets[1].kernel.release, SECOND);
	assert_false(back.targets[0].done || back.whole);
	assert_int_equal(back.targets[1].built.count, 0);
}

/* modinfo knows the second kernel's module; the first one's is what was detected. */
static void a_target_with_the_version_is_done(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "-k " SECOND, .output = "550.54.14\n" }, { 0 }
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct script script;
	struct stage stage;
	struct work work;

	set(&stage, sysroot);
	script_init(&script, answers, NULL);
	stage.ctx.runner = &script.runner;
	sysroot_mkdir(sysroot, "/usr/sbin");
	sysroot_mkdir(sysroot, "/proc");
	work_begin(&stage.ctx, &guest, &work);

	assert_int_equal(
		work_look_at_targets(&stage.ctx, &guest.installed, VERSION, &work, &err),
		0);

	assert_true(work.targets[0].done);
	assert_false(work.targets[1].done);
	assert_false(work_targets_done(&work));
	work.targets[1].done = true;
	assert_true(work_targets_done(&work));
}

/* A kernel that has no headers is no target of an image: then there may be none. */
static void of_no_target_nothing_is_done(void **state)
{
	struct error err = ERROR_INIT;
	struct stage stage;
	struct work work;

	set(&stage, *state);
	guest.target_count = 0;
	work_begin(&stage.ctx, &guest, &work);

	assert_int_equal(
		work_look_at_targets(&stage.ctx, &guest.installed, VERSION, &work, &err),
		0);

	assert_false(work_targets_done(&work));
	assert_int_equal(work_need_target(&work, &err), -1);
	assert_int_equal(err.code, ERROR_PREREQUISITES);
	work.target_count = 1;
	assert_int_equal(work_need_target(&work, &err), 0);
}

/* nvidia.ko is copied last: until then its version is the one of before. */
static void modules_that_may_be_half_anothers_are_not_done(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "-k " SECOND, .output = VERSION "\n" }, { 0 }
	};
	static const struct {
		bool way_back, owed, done;
	} rows[] = {
		{ false, false, true },
		{ false, true, true }, /* depmod alone is made up for */
		{ true, false, true },
		{ true, true, false },
	};
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/usr/sbin");
	sysroot_mkdir(sysroot, "/proc");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		struct script script;
		struct stage stage;
		struct work work;

		set(&stage, sysroot);
		script_init(&script, answers, NULL);
		stage.ctx.runner = &script.runner;
		work_begin(&stage.ctx, &guest, &work);
		work.way_back = rows[i].way_back;
		assert_int_equal((rows[i].owed ? depmod_owe : depmod_forgive)(
					 &sysroot->root, FIRST, &err),
				 0);

		assert_int_equal(work_look_at_targets(&stage.ctx, &guest.installed,
						      VERSION, &work, &err),
				 0);

		assert_int_equal(work.targets[0].done, rows[i].done);
	}
}

static void modules_that_dkms_made_are_not_where_they_are_wanted_without_it(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct stage stage;
	struct work work;

	set(&stage, sysroot);
	guest.target_count = 1;
	sysroot_mkdir(sysroot, PATHS_DKMS_SOURCES VERSION);
	sysroot_write(sysroot, PATHS_DKMS_SOURCES VERSION "/dkms.conf",
		      "# Written by vgpu-guest-agent");
	for (unsigned dkms = 0; dkms < 2; dkms++) {
		(void)strcpy(stage.ctx.settings.driver.dkms, dkms ? "yes" : "no");
		work_begin(&stage.ctx, &guest, &work);
		assert_int_equal(work_look_at_targets(&stage.ctx, &guest.installed,
						      VERSION, &work, &err),
				 0);
		/* Without DKMS they count only where it is not DKMS that has them. */
		assert_int_equal(work.targets[0].done, dkms);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(dkms_builds_only_where_it_can_count,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_way_back_knows_of_no_modules,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(of_no_target_nothing_is_done,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_target_with_the_version_is_done,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			modules_that_may_be_half_anothers_are_not_done, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			modules_that_dkms_made_are_not_where_they_are_wanted_without_it,
			sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("work", tests, NULL, NULL);
}
