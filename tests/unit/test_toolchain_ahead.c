/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/toolchain_ahead.h"

#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/stage.h"

#define LISTED                                                                \
	"[{\"name\":\"m.tar.gz\",\"size\":3,\"version\":\"" MACHINE_NEW       \
	"\",\"kernel\":\"" MACHINE_KERNEL "\",\"vermagic\":\"" MACHINE_KERNEL \
	" modversions \",\"compiler\":\"gcc\",\"arch\":\"x86_64\",\"flavour\":\"proprietary\"}]"

/* A guest without make, that may install it, and a driver that is to be fetched. */
struct scene {
	struct stage stage;
	struct guest guest;
	struct index index;
	struct repository repository;
	struct work work;
	struct error err;
};

static struct machine machine;
static struct scene scene;

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	machine_init(&machine, sysroot);
	return root_unlink(&sysroot->root, "/usr/bin/make", &err);
}

static void begin(const struct sysroot *sysroot)
{
	scene = (struct scene){ .err = ERROR_INIT };
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &machine.runner;
	(void)strcpy(scene.stage.ctx.settings.driver.prerequisites, "install");
	(void)strcpy(scene.stage.ctx.settings.driver.repository, "https://x.example/");
	scene.guest = (struct guest){ .os = { .id = "debian", .arch = "x86_64" } };
	assert_int_equal(
		detect_kernels(&sysroot->root, false, &scene.guest.kernels, &scene.err),
		0);
	scene.guest.target_count = 1;
	scene.guest.targets[0] = *kernel_find(&scene.guest.kernels, MACHINE_KERNEL);
	scene.repository =
		(struct repository){ .source = REPOSITORY_INDEX, .index = &scene.index };
	assert_int_equal(
		json_parse(LISTED, strlen(LISTED), &scene.index.modules, &scene.err), 0);
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.match.rule = MATCH_VERSION;
	(void)strcpy(scene.work.driver.version, MACHINE_OLD);
}

static void end(void)
{
	struct error ignored = ERROR_INIT;

	(void)!toolchain_ahead_end(&scene.stage.ctx, &scene.work, &ignored);
	json_free(scene.index.modules);
	work_done(&scene.work);
	stage_clear(&scene.stage);
}

static bool is_begun(void)
{
	toolchain_ahead_begin(&scene.stage.ctx, &scene.repository, &scene.work);
	return scene.work.ahead.pid != 0;
}

/* What a row changes of a scene in which the preparation begins. */
static void keep_installed(void)
{
	scene.work.match.rule = MATCH_INSTALLED;
}

static void have_package(void)
{
	(void)strcpy(scene.work.driver.path, PATHS_BACKUP "/old.run");
}

static void work_apart(void)
{
	scene.stage.ctx.job = JOB_FETCH;
}

static void only_check(void)
{
	(void)strcpy(scene.stage.ctx.settings.driver.prerequisites, "check");
}

static void take_only_prebuilt(void)
{
	(void)strcpy(scene.stage.ctx.settings.driver.prebuilt, "only");
}

static void have_modules(void)
{
	(void)strcpy(scene.guest.installed.version, MACHINE_OLD);
}

static void be_listed(void)
{
	(void)strcpy(scene.work.driver.version, MACHINE_NEW);
}

static void need_nothing(void)
{
	char path[128];

	sysroot_write(machine.sysroot, "/usr/bin/make", "");
	(void)snprintf(path, sizeof(path), "%s/usr/bin/make", machine.sysroot->dir);
	assert_int_equal(chmod(path, 0755), 0);
}

static void have_no_key(void)
{
	static const char path[] = "/sys/firmware/efi/efivars/SecureBoot-"
				   "8be4df61-93ca-11d2-aa0d-00e098032b8c";
	static const char on[] = { 6, 0, 0, 0, 1 };

	sysroot_mkdir(machine.sysroot, "/sys/firmware/efi/efivars");
	assert_int_equal(file_write_atomic(&machine.sysroot->root, path, on, sizeof(on),
					   0644, &scene.err),
			 0);
}

static void change_nothing(void)
{
}

static void it_begins_where_a_build_is_to_come_and_something_is_missing(void **state)
{
	static const struct {
		const char *name;
		void (*change)(void);
		bool expected;
	} rows[] = {
		{ "as it is", change_nothing, true },
		{ "an installed driver stays", keep_installed, false },
		{ "its package is here", have_package, false },
		{ "the command works apart", work_apart, false },
		{ "nothing may be installed", only_check, false },
		{ "nothing is compiled", take_only_prebuilt, false },
		{ "the target has its modules", have_modules, false },
		{ "the index lists its modules", be_listed, false },
		{ "Secure Boot would refuse them", have_no_key, false },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		begin(*state);
		rows[i].change();
		if (is_begun() != rows[i].expected)
			fail_msg("%s", rows[i].name);
		end();
	}
}

static void where_nothing_is_missing_nothing_begins(void **state)
{
	begin(*state);
	need_nothing();

	assert_false(is_begun());
	assert_int_equal(toolchain_ahead_end(&scene.stage.ctx, &scene.work, &scene.err),
			 0);
	end();
}

/* The package manager of this machine brings nothing: make is missing afterwards. */
static void its_error_is_that_of_the_build(void **state)
{
	begin(*state);
	assert_true(is_begun());

	assert_int_equal(toolchain_ahead_end(&scene.stage.ctx, &scene.work, &scene.err),
			 -1);

	assert_int_equal(scene.err.code, ERROR_PREREQUISITES);
	assert_non_null(strstr(scene.err.text, "make"));
	assert_int_equal(scene.work.ahead.pid, 0);
	end();
}

static int (*start_machine)(struct runner *runner, const struct root *root,
			    const struct run *run, struct run_result *ret_result,
			    struct error *err);

/* apt-get that installs make. */
static int start_and_bring_make(struct runner *runner, const struct root *root,
				const struct run *run, struct run_result *ret_result,
				struct error *err)
{
	bool installs = false;

	for (size_t i = 1; run->argv[i]; i++)
		installs |= strcmp(run->argv[i], "install") == 0;
	if (installs)
		need_nothing();
	return start_machine(runner, root, run, ret_result, err);
}

static void what_it_installs_is_there_at_its_end(void **state)
{
	struct stat st;

	begin(*state);
	start_machine = machine.runner.start;
	machine.runner.start = start_and_bring_make;
	assert_true(is_begun());

	if (toolchain_ahead_end(&scene.stage.ctx, &scene.work, &scene.err) < 0)
		fail_msg("%s", scene.err.text);

	assert_true(root_stat(&machine.sysroot->root, "/usr/bin/make", &st));
	end();
}

/* There is no place for its log. */
static void what_cannot_be_started_is_left_to_the_build(void **state)
{
	begin(*state);
	sysroot_mkdir(*state, "/var/log");
	sysroot_write(*state, PATHS_LOGS, "");

	assert_false(is_begun());

	assert_int_equal(toolchain_ahead_end(&scene.stage.ctx, &scene.work, &scene.err),
			 0);
	end();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(it_begins_where_a_build_is_to_come_and_something_is_missing),
		TEST(where_nothing_is_missing_nothing_begins),
		TEST(its_error_is_that_of_the_build),
		TEST(what_it_installs_is_there_at_its_end),
		TEST(what_cannot_be_started_is_left_to_the_build),
	};

	return cmocka_run_group_tests_name("toolchain_ahead", tests, NULL, NULL);
}
