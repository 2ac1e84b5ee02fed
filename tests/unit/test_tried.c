/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/tried.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/stage.h"

#define OTHER "6.1.0-38-cloud-amd64"

/* A guest for whose kernel a driver is compiled. */
struct scene {
	struct machine machine;
	struct stage stage;
	struct guest guest;
	struct state state;
	struct work work;
	struct toolchain toolchain;
	struct error err;
};

static struct scene *scene_of(const struct sysroot *sysroot)
{
	static struct scene scene;

	scene = (struct scene){ .err = ERROR_INIT,
				.toolchain = { .compiler = "/usr/bin/gcc-12" } };
	sysroot_empty(sysroot);
	machine_init(&scene.machine, sysroot);
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &scene.machine.runner;
	scene.guest = (struct guest){
		.os = { .id = "debian", .arch = "x86_64" },
		.target_count = 1,
		.targets = { { .release = MACHINE_KERNEL, .running = true } },
	};
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.driver = (struct driver){ .version = MACHINE_NEW };
	scene.work.match.package = (struct package){ .name = "new.run" };
	return &scene;
}

static void end(struct scene *scene)
{
	work_done(&scene->work);
	stage_clear(&scene->stage);
}

static void note(struct scene *scene, const struct error *error)
{
	if (tried_note(&scene->stage.ctx, &scene->state, &scene->work,
		       &scene->work.targets[0], &scene->toolchain, error,
		       &scene->err) < 0)
		fail_msg("%s", scene->err.text);
}

static void what_fails_for_good_or_compiles_is_noted_and_nothing_else(void **state)
{
	static const struct {
		struct error error; /* code ERROR_NONE: it compiled */
		bool way_back, mute, noted;
	} rows[] = {
		{ { .code = ERROR_NONE }, false, false, true },
		{ { .code = ERROR_BUILD, .text = "nv-pci.c: error" },
		  false,
		  false,
		  true },
		{ { .code = ERROR_BUILD, .passing = true }, false, false, false },
		{ { .code = ERROR_BUILD, .interrupted = true }, false, false, false },
		{ { .code = ERROR_PREREQUISITES }, false, false, false },
		{ { .code = ERROR_BUILD }, true, false, false },
		/* whose compiler cannot be told from the next one */
		{ { .code = ERROR_BUILD }, false, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene *scene = scene_of(*state);
		const struct known_build *build = &scene->state.builds.list[0];

		scene->work.way_back = rows[i].way_back;
		scene->machine.fail_at = rows[i].mute;
		note(scene, rows[i].error.code ? &rows[i].error : NULL);
		if (scene->state.builds.count != rows[i].noted)
			fail_msg("row %zu", i);
		if (rows[i].noted) {
			assert_int_equal(build->ok, !rows[i].error.code);
			assert_string_equal(build->why, rows[i].error.text);
			assert_string_equal(build->file, "new.run");
			assert_string_equal(build->version, MACHINE_NEW);
			assert_string_equal(build->kernel, MACHINE_KERNEL);
			assert_string_equal(build->compiler, "12");
			assert_string_equal(build->wanted, "auto");
		}
		end(scene);
	}
}

/* Without a compiler the notes are all that is known. */
static void another_compiler_forgets_and_a_missing_one_does_not(void **state)
{
	static const struct {
		const char *compiler;
		bool missing, stays;
	} rows[] = { { "12", false, true },
		     { "12.1", false, false },
		     { "12.1", true, true } };
	const struct error error = { .code = ERROR_BUILD };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene *scene = scene_of(*state);
		struct known_build *build = &scene->state.builds.list[0];

		note(scene, &error);
		(void)strcpy(build->compiler, rows[i].compiler);
		if (rows[i].missing)
			assert_int_equal(root_unlink(&scene->stage.ctx.root,
						     "/usr/bin/gcc-12", &scene->err),
					 0);
		if (tried_forget(&scene->stage.ctx, &scene->work, &scene->state,
				 &scene->err) < 0)
			fail_msg("%s", scene->err.text);
		if (scene->state.builds.count != rows[i].stays)
			fail_msg("row %zu", i);
		end(scene);
	}
}

static void a_signal_ends_the_asking(void **state)
{
	const struct error error = { .code = ERROR_BUILD };
	struct scene *scene = scene_of(*state);

	note(scene, &error);
	scene->machine.fail_at = scene->machine.count + 1;
	scene->machine.fault = MACHINE_CUT_OFF;

	assert_int_equal(
		tried_forget(&scene->stage.ctx, &scene->work, &scene->state, &scene->err),
		-1);
	assert_true(scene->err.interrupted);
	end(scene);
}

/* A kernel that does not run yet is no reason to give up the driver that works. */
static void an_installed_driver_is_doomed_by_the_running_kernel_alone(void **state)
{
	static const struct {
		const char *version, *kernel;
		bool running, done, doomed;
	} rows[] = {
		{ MACHINE_NEW, MACHINE_KERNEL, true, false, true },
		{ MACHINE_NEW, MACHINE_KERNEL, false, false, false },
		{ MACHINE_NEW, MACHINE_KERNEL, true, true, false },
		{ MACHINE_NEW, OTHER, true, false, false },
		{ MACHINE_OLD, MACHINE_KERNEL, true, false, false },
		{ "", MACHINE_KERNEL, true, false, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene *scene = scene_of(*state);
		const struct error error = { .code = ERROR_BUILD };
		struct target *target = &scene->work.targets[0];
		struct known_input known;

		note(scene, &error);
		(void)strcpy(target->kernel.release, rows[i].kernel);
		target->kernel.running = rows[i].running;
		target->done = rows[i].done;
		known = tried_known(&scene->stage.ctx, &scene->work, &scene->state,
				    rows[i].version);
		assert_int_equal(known.kernel_count, 1);
		assert_int_equal(known.own_successes, !rows[i].version[0]);
		if (tried_dooms(&known, &scene->work, rows[i].version) != rows[i].doomed)
			fail_msg("row %zu", i);
		end(scene);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_fails_for_good_or_compiles_is_noted_and_nothing_else),
		TEST(another_compiler_forgets_and_a_missing_one_does_not),
		TEST(a_signal_ends_the_asking),
		TEST(an_installed_driver_is_doomed_by_the_running_kernel_alone),
	};

	return cmocka_run_group_tests_name("tried", tests, NULL, NULL);
}
