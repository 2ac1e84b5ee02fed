/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/fallback.h"

#include <string.h>

#include "base/text.h"
#include "driver/choose.h"
#include "driver/tried.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/stage.h"

#define RUN(version) "NVIDIA-Linux-x86_64-" version "-grid.run"
#define HOST "550.90.05"
#define OLDER "6.1.0-36-cloud-amd64"

/* A guest on a vGPU of branch 550, one of whose drivers has just not compiled. */
struct scene {
	struct machine machine;
	struct stage stage;
	struct guest guest;
	struct state state;
	struct repository repository;
	struct work work;
	char next[VERSION_MAX];
	struct error err;
};

/* `versions` with blanks between are what the repository has, besides `failed`. */
static void fill_repository(struct scene *scene, const char *versions)
{
	struct json *files = json_build("[]");
	cleanup_json struct json *json = NULL;
	struct span rest = span_of(versions), version;
	char name[PACKAGE_NAME_MAX];

	while (rest.len > 0) {
		(void)span_split(rest, ' ', &version, &rest);
		(void)text_format(name, sizeof(name), RUN("%.*s"), (int)version.len,
				  version.at);
		assert_int_equal(json_append(files, json_build("{s:s}", "name", name)),
				 0);
	}
	json = json_build("{s:o}", "files", files);
	if (repository_from_json(json, &scene->repository, &scene->err) < 0)
		fail_msg("%s", scene->err.text);
	scene->repository.source = REPOSITORY_MANIFEST;
}

static struct scene *scene_of(const struct sysroot *sysroot, const char *versions)
{
	static struct scene scene;

	scene = (struct scene){ .err = ERROR_INIT };
	sysroot_empty(sysroot);
	machine_init(&scene.machine, sysroot);
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &scene.machine.runner;
	scene.stage.ctx.settings.metadata.enabled = false;
	assert_int_equal(state_load(&sysroot->root, &scene.state, &scene.err), 0);
	scene.guest = (struct guest){
		.gpus = { .count = 1, .gpus = { { .kind = GPU_VGPU } } },
		.host = { .version = HOST },
		.os = { .id = "debian", .arch = "x86_64" },
		.kernels = { .count = 2,
			     .kernels = { { .release = OLDER, .headers = true },
					  { .release = MACHINE_KERNEL,
					    .headers = true,
					    .running = true } } },
		.target_count = 1,
		.targets = { { .release = MACHINE_KERNEL, .running = true } },
	};
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	fill_repository(&scene, versions);
	return &scene;
}

static void end(struct scene *scene)
{
	work_done(&scene->work);
	repository_done(&scene->repository);
	state_done(&scene->state);
	stage_clear(&scene->stage);
}

/* As the step build ends for the driver that the rules choose now. */
static void fail_to_build(struct scene *scene)
{
	const struct toolchain toolchain = { .compiler = "/usr/bin/gcc-12" };
	struct error none = ERROR_INIT;

	work_done(&scene->work);
	work_begin(&scene->stage.ctx, &scene->guest, &scene->work);
	if (choose_driver(&scene->stage.ctx, &scene->state, &scene->repository, false,
			  &scene->work, &none) < 0)
		fail_msg("%s", none.text);
	(void)error_set(&scene->err, ERROR_BUILD, "make: exit status 2: nv-pci.c: error");
	assert_int_equal(tried_note(&scene->stage.ctx, &scene->state, &scene->work,
				    &scene->work.targets[0], &toolchain, &scene->err,
				    &none),
			 0);
}

static bool next(struct scene *scene)
{
	return fallback_next(&scene->stage.ctx, &scene->state, &scene->repository,
			     &scene->work, scene->next, &scene->err);
}

/* Further down, and into the branch before; never one that has failed a moment ago. */
static void it_goes_on_to_the_next_that_fits_three_times(void **state)
{
	static const char *const versions[] = { "550.127.05", "550.90.07", "535.216.01",
						"535.183.06", "535.161.08" };
	struct scene *scene =
		scene_of(*state, "535.161.08 550.90.07 470.82.01 535.216.01 550.127.05 "
				 "570.124.06 535.183.06");

	for (size_t i = 0; i < 4; i++) {
		fail_to_build(scene);
		assert_string_equal(scene->work.driver.version, versions[i]);
		assert_int_equal(next(scene), i < 3);
		if (i < 3)
			assert_string_equal(scene->next, versions[i + 1]);
	}
	assert_non_null(
		strstr(scene->err.hint, "535.161.08 fits this host, too: run again"));
	end(scene);
}

/* Each of these has its reason not to be replaced by another. */
static void what_somebody_named_or_has_begun_stays(void **state)
{
	static const struct {
		const char *version, *sha256, *installing, *words;
		bool fallback;
		enum error_code code;
		bool passing, goes_on;
	} rows[] = {
		{ "", "", "", "", true, ERROR_BUILD, false, true },
		{ "", "", "", "driver.fallback = true", false, ERROR_BUILD, false,
		  false },
		{ "550.127.05", "", "",
		  "or name another guest driver of branch 550 or 535", true, ERROR_BUILD,
		  false, false },
		{ "", "ab", "", "or name another", true, ERROR_BUILD, false, false },
		{ "", "", "550.90.07", "or name another", true, ERROR_BUILD, false,
		  false },
		/* what another version would not mend */
		{ "", "", "", "", true, ERROR_PREREQUISITES, false, false },
		{ "", "", "", "", true, ERROR_BUILD, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene *scene = scene_of(*state, "550.127.05 550.90.07");
		struct settings_driver *driver = &scene->stage.ctx.settings.driver;

		driver->fallback = rows[i].fallback;
		(void)strcpy(driver->version, rows[i].version);
		(void)strcpy(driver->sha256, rows[i].sha256);
		fail_to_build(scene);
		(void)strcpy(scene->state.installing.version, rows[i].installing);
		scene->err.code = rows[i].code;
		scene->err.passing = rows[i].passing;
		if (next(scene) != rows[i].goes_on)
			fail_msg("row %zu: %s", i, scene->err.hint);
		if (!strstr(scene->err.hint, rows[i].words))
			fail_msg("row %zu: %s", i, scene->err.hint);
		end(scene);
	}
}

/* A kernel that has been booted since: nothing of the driver works there. */
static void an_installed_driver_makes_way_on_the_running_kernel(void **state)
{
	static const struct {
		bool ours, running, kept, goes_on;
	} rows[] = {
		{ true, true, true, true },
		/* its package is fetched again */
		{ true, true, false, true },
		{ true, false, true, false },
		{ false, true, true, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene *scene = scene_of(*state, "550.127.05 550.90.07");

		scene->guest.targets[0].running = rows[i].running;
		scene->guest.installed =
			(struct detect_driver){ .grid = true, .tools = true };
		if (rows[i].ours)
			(void)strcpy(scene->state.driver.version, "550.127.05");
		else
			(void)strcpy(scene->guest.installed.version, "550.127.05");
		if (rows[i].kept) {
			sysroot_mkdir(*state, PATHS_SOURCES "/550.127.05/kernel");
			sysroot_write(*state, PATHS_SOURCES "/550.127.05/kernel/Makefile",
				      "");
		}
		fail_to_build(scene);
		assert_string_equal(scene->work.driver.version, "550.127.05");
		assert_int_equal(work_keeps_installed(&scene->work), rows[i].kept);
		if (next(scene) != rows[i].goes_on)
			fail_msg("row %zu: %s", i, scene->err.hint);
		if (rows[i].goes_on)
			assert_string_equal(scene->next, "550.90.07");
		end(scene);
	}
}

/* What is here goes before what would have to come. */
static void where_nothing_fits_the_hint_names_what_would(void **state)
{
	static const struct {
		const char *host;
		bool headers, tried;
		const char *expected;
	} rows[] = {
		{ HOST, true, false,
		  "boot " OLDER ", whose headers are here, or put into the repository "
		  "another guest driver of branch 550 or 535, which this host takes; the "
		  "whole output of make is in " },
		{ HOST, false, false, "boot an older kernel with its headers, or put" },
		{ HOST, true, true, "boot an older kernel with its headers, or put" },
		{ "580.95.02", true, false, "of branch 580, 570 or 535, which" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct scene *scene = scene_of(*state, strcmp(rows[i].host, HOST) == 0
							       ? "550.127.05"
							       : "580.95.05");
		struct builds *builds = &scene->state.builds;

		(void)strcpy(scene->guest.host.version, rows[i].host);
		scene->guest.kernels.kernels[0].headers = rows[i].headers;
		fail_to_build(scene);
		if (rows[i].tried) {
			struct known_build older = builds->list[0];

			older.now = false;
			(void)strcpy(older.kernel, OLDER);
			builds_note(builds, &older);
		}
		assert_false(next(scene));
		if (!strstr(scene->err.hint, rows[i].expected))
			fail_msg("row %zu: %s", i, scene->err.hint);
		end(scene);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_goes_on_to_the_next_that_fits_three_times),
		TEST(what_somebody_named_or_has_begun_stays),
		TEST(an_installed_driver_makes_way_on_the_running_kernel),
		TEST(where_nothing_fits_the_hint_names_what_would),
	};

	return cmocka_run_group_tests_name("fallback", tests, NULL, NULL);
}
