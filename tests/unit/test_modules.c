/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/modules.h"

#include <string.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/stage.h"

#define PACKAGE_PATH PATHS_CACHE "/driver.run"

/* A guest with a kernel, its headers and tools, and a .run that is to be compiled. */
struct scene {
	struct stage stage;
	struct guest guest;
	struct state state;
	struct repository repository;
	struct work work;
	struct outcome outcome;
	struct error err;
};

static struct machine machine;
static struct scene scene;

static int setup(void **state)
{
	(void)sysroot_setup(state);
	machine_init(&machine, *state);
	machine_add_package(&machine, PACKAGE_PATH, MACHINE_OLD);
	return 0;
}

static void begin(const struct sysroot *sysroot)
{
	scene = (struct scene){ .outcome = { .step = "build" }, .err = ERROR_INIT };
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &machine.runner;
	scene.guest = (struct guest){ .os = { .id = "debian", .arch = "x86_64" } };
	assert_int_equal(
		detect_kernels(&sysroot->root, false, &scene.guest.kernels, &scene.err),
		0);
	scene.guest.target_count = 1;
	scene.guest.targets[0] = *kernel_find(&scene.guest.kernels, MACHINE_KERNEL);
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.driver = (struct driver){ .kind = PACKAGE_RUN,
					     .version = MACHINE_OLD,
					     .path = PACKAGE_PATH };
}

static void end(void)
{
	work_done(&scene.work);
	stage_clear(&scene.stage);
}

static int build(void)
{
	return modules_build(&scene.stage.ctx, &scene.state, &scene.repository,
			     &scene.work, &scene.outcome, &scene.err);
}

static int unpack_and_build(void)
{
	return modules_unpack(&scene.stage.ctx, &scene.work, &scene.err) < 0 ? -1
									     : build();
}

static void a_package_is_unpacked_and_compiled_for_its_target(void **state)
{
	const struct build_result *built = &scene.work.targets[0].built;

	begin(*state);

	if (unpack_and_build() < 0)
		fail_msg("%s", scene.err.text);

	assert_string_equal(scene.work.tree, PATHS_TREE);
	assert_true(scene.work.whole);
	assert_int_equal(built->count, 3);
	assert_non_null(strstr(built->modules[0], PATHS_BUILD "/" MACHINE_KERNEL));
	assert_string_equal(scene.outcome.detail,
			    "proprietary modules for " MACHINE_KERNEL);
	end();
}

static void the_flavour_is_what_is_set_but_on_the_way_back_what_worked(void **state)
{
	static const struct {
		const char *set;
		bool way_back, worked_open, expected;
	} rows[] = {
		{ "open", false, false, true },
		{ "proprietary", false, true, false },
		{ "open", true, false, false },
		{ "proprietary", true, true, true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(*state);
		(void)strcpy(scene.stage.ctx.settings.driver.kernel_module, rows[i].set);
		scene.work.way_back = scene.work.recorded = rows[i].way_back;
		scene.work.driver.open = rows[i].worked_open;
		if (unpack_and_build() < 0)
			fail_msg("row %zu: %s", i, scene.err.text);
		assert_int_equal(scene.work.driver.open, rows[i].expected);
		assert_string_equal(machine.flavour,
				    rows[i].expected ? "open" : "kernel");
		end();
	}
}

static void what_has_its_modules_is_not_compiled(void **state)
{
	begin(*state);
	scene.work.targets[0].done = true;
	assert_int_equal(modules_unpack(&scene.stage.ctx, &scene.work, &scene.err), 0);

	assert_int_equal(build(), 0);

	assert_int_equal(scene.work.targets[0].built.count, 0);
	end();
}

static void without_sources_there_is_nothing_to_compile(void **state)
{
	begin(*state);
	scene.work.driver.path[0] = '\0';

	assert_int_equal(build(), -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(scene.err.text, MACHINE_OLD " are not kept"));
	end();
}

/* As for a new kernel: the package is gone, what it was compiled from was kept. */
static void kept_sources_are_compiled_as_they_are(void **state)
{
	begin(*state);
	sysroot_mkdir(*state, PATHS_SOURCES "/" MACHINE_OLD "/kernel-open");
	sysroot_write(*state, PATHS_SOURCES "/" MACHINE_OLD "/kernel-open/Makefile", "");
	(void)strcpy(machine.unpacked, MACHINE_OLD);

	if (build() < 0)
		fail_msg("%s", scene.err.text);

	assert_int_equal(scene.work.targets[0].built.count, 3);
	assert_true(scene.work.driver.open);
	assert_false(scene.work.whole);
	end();
}

static void remove_file(const struct sysroot *sysroot, const char *path)
{
	struct error err = ERROR_INIT;

	assert_int_equal(root_unlink(&sysroot->root, path, &err), 0);
}

static void a_missing_tool_is_named_unless_it_may_be_installed(void **state)
{
	for (unsigned package = 0; package < 2; package++) {
		begin(*state);
		if (!package)
			remove_file(*state, "/usr/bin/make");
		scene.work.driver.kind = package ? PACKAGE_DEB : PACKAGE_RUN;
		(void)strcpy(scene.stage.ctx.settings.driver.prerequisites, "check");

		assert_int_equal(package ? build() : unpack_and_build(), -1);

		assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
		assert_string_equal(scene.err.text,
				    "kernel " MACHINE_KERNEL ": missing: make");
		assert_non_null(strstr(scene.err.hint, "driver.prerequisites"));
		end();
	}
}

/* apt-get of this machine succeeds and brings nothing. */
static void a_missing_tool_is_installed_where_it_may_be(void **state)
{
	begin(*state);
	remove_file(*state, "/usr/bin/make");
	(void)strcpy(scene.stage.ctx.settings.driver.prerequisites, "install");

	assert_int_equal(unpack_and_build(), -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(scene.err.text, "make"));
	assert_null(strstr(scene.err.hint, "driver.prerequisites"));
	end();
}

static void a_system_package_needs_its_tools_and_no_build(void **state)
{
	begin(*state);
	scene.work.driver.kind = PACKAGE_DEB;

	assert_int_equal(build(), 0);

	assert_int_equal(scene.outcome.kind, OUTCOME_SKIPPED);
	assert_int_equal(scene.work.targets[0].built.count, 0);
	end();
}

static void a_system_package_has_no_prebuilt_modules(void **state)
{
	begin(*state);
	scene.work.driver.kind = PACKAGE_RPM;
	(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, "only");

	assert_int_equal(build(), -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_string_equal(scene.err.text, "a .rpm package compiles its modules itself");
	end();
}

/* What spares a compile is asked for; that it is not to be had is no error. */
static void a_repository_that_is_down_only_says_why_it_was_compiled(void **state)
{
	begin(*state);
	(void)strcpy(scene.stage.ctx.settings.driver.repository, "ftp://x.example/");
	scene.work.targets[0].kernel.headers = false;

	if (unpack_and_build() < 0)
		fail_msg("%s", scene.err.text);

	assert_int_equal(scene.work.targets[0].built.count, 3);
	assert_non_null(strstr(scene.outcome.detail, ", compiled: "));
	end();
}

static void that_only_prebuilt_ones_may_be_used_is_heeded(void **state)
{
	begin(*state);
	(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, "only");

	assert_int_equal(unpack_and_build(), -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(scene.err.text, "no prebuilt modules for kernel"));
	end();
}

static void each_failing_command_ends_the_build(void **state)
{
	for (unsigned number = 1; number < 40; number++) {
		int result;

		begin(*state);
		machine.count = 0;
		machine.fail_at = number;
		machine.fault = MACHINE_CUT_OFF;
		result = unpack_and_build();
		end();
		if (machine.count < number) {
			assert_int_equal(result, 0);
			assert_true(number > 3);
			return;
		}
		if (result == 0 || !scene.err.interrupted)
			fail_msg("%s: %s", machine.failed, scene.err.text);
	}
	fail_msg("it has no end");
}

static void what_was_unpacked_and_built_can_be_discarded(void **state)
{
	begin(*state);
	if (unpack_and_build() < 0)
		fail_msg("%s", scene.err.text);

	modules_discard(&scene.stage.ctx);

	sysroot_assert_entries(*state, PATHS_CACHE, 1);
	sysroot_assert_text(*state, PACKAGE_PATH, MACHINE_OLD);
	end();
}

/* The same guest, and nothing of the driver is here yet. */
static void who_cannot_sign_is_told_before_anything_is_fetched(void **state)
{
	static const struct {
		const char *what, *enforce, *prebuilt;
		bool installed, fetched, offline, foreseen;
		enum job job;
	} rows[] = {
		{ "no key", "Y\n", "auto", false, false, false, true, JOB_RUN },
		{ "nothing enforces", "N\n", "auto", false, false, false, false,
		  JOB_RUN },
		{ "an image", "Y\n", "auto", false, false, true, false, JOB_INSTALL },
		{ "a driver stays", "Y\n", "auto", true, false, false, false, JOB_RUN },
		{ "its package is here", "Y\n", "auto", false, true, false, false,
		  JOB_RUN },
		{ "it is only fetched", "Y\n", "auto", false, false, false, false,
		  JOB_FETCH },
		{ "modules that are not listed may come", "Y\n", "only", false, false,
		  false, false, JOB_RUN },
	};

	sysroot_mkdir(*state, "/sys/module/module/parameters");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(*state);
		sysroot_write(*state, "/sys/module/module/parameters/sig_enforce",
			      rows[i].enforce);
		(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, rows[i].prebuilt);
		scene.stage.ctx.job = rows[i].job;
		scene.stage.ctx.offline = rows[i].offline;
		scene.work.match.rule = rows[i].installed ? MATCH_INSTALLED : MATCH_URL;
		if (!rows[i].fetched)
			scene.work.driver.path[0] = '\0';
		if (modules_foresee(&scene.stage.ctx, &scene.repository, &scene.work,
				    &scene.err) != (rows[i].foreseen ? -1 : 0))
			fail_msg("%s: %s", rows[i].what, scene.err.text);
		if (rows[i].foreseen)
			assert_int_equal(scene.err.code, ERROR_SECURE_BOOT);
		end();
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(who_cannot_sign_is_told_before_anything_is_fetched),
		TEST(a_package_is_unpacked_and_compiled_for_its_target),
		TEST(the_flavour_is_what_is_set_but_on_the_way_back_what_worked),
		TEST(what_has_its_modules_is_not_compiled),
		TEST(without_sources_there_is_nothing_to_compile),
		TEST(kept_sources_are_compiled_as_they_are),
		TEST(a_missing_tool_is_named_unless_it_may_be_installed),
		TEST(a_missing_tool_is_installed_where_it_may_be),
		TEST(a_system_package_needs_its_tools_and_no_build),
		TEST(a_system_package_has_no_prebuilt_modules),
		TEST(a_repository_that_is_down_only_says_why_it_was_compiled),
		TEST(that_only_prebuilt_ones_may_be_used_is_heeded),
		TEST(each_failing_command_ends_the_build),
		TEST(what_was_unpacked_and_built_can_be_discarded),
	};

	return cmocka_run_group_tests_name("modules", tests, NULL, NULL);
}
