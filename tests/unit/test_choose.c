/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/choose.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/worker.h"

#define HOST "550.90.05"
#define PACKAGE_PATH PATHS_BACKUP "/driver-" MACHINE_NEW ".run"

struct scene {
	struct machine machine;
	struct stage stage;
	struct guest guest;
	struct state state;
	struct repository repository;
	struct work work;
	struct error err;
};

/* A guest with a vGPU of a host of branch 550, and nothing installed. */
static struct scene *scene_of(const struct sysroot *sysroot)
{
	static struct scene scene;

	scene = (struct scene){ .err = ERROR_INIT };
	machine_init(&scene.machine, sysroot);
	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &scene.machine.runner;
	assert_int_equal(state_load(&sysroot->root, &scene.state, &scene.err), 0);
	scene.guest = (struct guest){
		.gpus = { .count = 1, .gpus = { { .kind = GPU_VGPU } } },
		.host = { .version = HOST },
		.os = { .id = "debian", .arch = "x86_64" },
		.target_count = 1,
		.targets = { { .release = MACHINE_KERNEL } },
	};
	return &scene;
}

static int choose(struct scene *scene)
{
	work_begin(&scene->stage.ctx, &scene->guest, &scene->work);
	return choose_driver(&scene->stage.ctx, &scene->state, &scene->repository, false,
			     &scene->work, &scene->err);
}

static void end(struct scene *scene)
{
	work_done(&scene->work);
	repository_done(&scene->repository);
	state_done(&scene->state);
	stage_clear(&scene->stage);
}

static void install(struct scene *scene, const char *version, bool ours)
{
	scene->guest.installed = (struct detect_driver){ .grid = true, .tools = true };
	(void)text_copy(scene->guest.installed.version,
			sizeof(scene->guest.installed.version), version);
	if (ours)
		(void)text_copy(scene->state.driver.version,
				sizeof(scene->state.driver.version), version);
}

static void a_driver_that_fits_stays_and_nobody_is_asked(void **state)
{
	struct scene *scene = scene_of(*state);

	install(scene, MACHINE_OLD, true);
	(void)strcpy(scene->stage.ctx.settings.driver.repository, "https://x.invalid/");

	if (choose(scene) < 0)
		fail_msg("%s", scene->err.text);

	assert_true(work_keeps_installed(&scene->work));
	assert_string_equal(scene->work.driver.version, MACHINE_OLD);
	assert_false(scene->stage.tools.transport_ready);
	end(scene);
}

/* A command that works apart has no interest in what is installed here. */
static void what_is_installed_is_nothing_to_fetch(void **state)
{
	struct scene *scene = scene_of(*state);

	install(scene, MACHINE_OLD, true);
	scene->stage.ctx.job = JOB_FETCH;

	assert_int_equal(choose(scene), -1);

	assert_int_equal(scene->err.code, ERROR_NO_MATCH);
	assert_non_null(strstr(scene->err.text, "no repository"));
	end(scene);
}

static void a_named_url_is_taken(void **state)
{
	struct scene *scene = scene_of(*state);

	(void)strcpy(scene->stage.ctx.settings.driver.url,
		     "file:///NVIDIA-Linux-x86_64-" MACHINE_NEW "-grid.run");
	(void)strcpy(scene->state.driver.version, MACHINE_NEW);
	scene->state.driver.open = true;

	if (choose(scene) < 0)
		fail_msg("%s", scene->err.text);

	assert_int_equal(scene->work.match.rule, MATCH_URL);
	assert_int_equal(scene->work.driver.kind, PACKAGE_RUN);
	assert_string_equal(scene->work.driver.version, MACHINE_NEW);
	assert_true(scene->work.driver.open);
	end(scene);
}

static void where_no_driver_can_be_right_nothing_is_chosen(void **state)
{
	static const struct {
		const char *words;
		bool offline, others, grid;
		enum error_code host, code;
	} rows[] = {
		{ "no driver is named", true, false, false, 0, ERROR_NO_MATCH },
		{ "disagree", false, false, false, ERROR_NO_MATCH, ERROR_NO_MATCH },
		{ "no GRID driver", false, true, false, 0, ERROR_INSTALL },
		{ "could not be read", false, false, false, ERROR_PERMISSION,
		  ERROR_PERMISSION },
	};
	struct scene *scene = scene_of(*state);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scene->err = ERROR_INIT;
		scene->stage.ctx.offline = rows[i].offline;
		if (rows[i].offline || rows[i].host)
			scene->guest.host.version[0] = '\0';
		else
			(void)strcpy(scene->guest.host.version, HOST);
		scene->guest.host_why = ERROR_INIT;
		if (rows[i].host)
			(void)error_set(&scene->guest.host_why, rows[i].host,
					"vGPUs disagree");
		scene->guest.installed = (struct detect_driver){ .grid = rows[i].grid };
		if (rows[i].others)
			(void)strcpy(scene->guest.installed.version, MACHINE_OLD);

		assert_int_equal(choose(scene), -1);
		if (scene->err.code != rows[i].code ||
		    !strstr(scene->err.text, rows[i].words))
			fail_msg("row %zu: %d, %s", i, scene->err.code, scene->err.text);
		if (i + 1 == ARRAY_SIZE(rows))
			end(scene);
		else
			work_done(&scene->work);
	}
	end(scene);
}

static void a_run_that_was_cut_off_is_finished_or_put_back(void **state)
{
	static const struct {
		bool failed, kept;
		const char *file, *url, *version; /* of the command line; "": not said */
		bool expected, way_back;
		const char *brought;
	} rows[] = {
		{ false, true, NULL, "", "", true, false, MACHINE_NEW },
		{ true, true, NULL, "", "", true, true, MACHINE_OLD },
		{ true, false, NULL, "", "", false, false, "" },
		/* who names another driver wants that one */
		{ false, true, "/x.run", "file:///x.run", "", false, false, "" },
		{ false, true, NULL, "file:///x.run", "", false, false, "" },
		{ false, true, NULL, "", MACHINE_OLD, false, false, "" },
		{ false, true, NULL, "", MACHINE_NEW, true, false, MACHINE_NEW },
		{ false, true, NULL,
		  "https://h/NVIDIA-Linux-x86_64-" MACHINE_NEW "-grid.run?x", "", true,
		  false, MACHINE_NEW },
	};
	const struct sysroot *sysroot = *state;
	struct scene *scene = scene_of(sysroot);
	struct settings *settings = &scene->stage.ctx.settings;

	sysroot_mkdir(sysroot, PATHS_BACKUP);
	sysroot_write(sysroot, PACKAGE_PATH, MACHINE_NEW);
	sysroot_write(sysroot, PATHS_BACKUP "/old.run", MACHINE_OLD);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		char words[160] = "";

		scene->state.installing = (struct driver){ .kind = PACKAGE_RUN,
							   .version = MACHINE_NEW,
							   .path = PACKAGE_PATH };
		scene->state.driver =
			(struct driver){ .kind = PACKAGE_RUN, .version = MACHINE_OLD };
		if (rows[i].kept)
			(void)strcpy(scene->state.driver.path, PATHS_BACKUP "/old.run");
		scene->state.installing_failed = rows[i].failed;
		scene->stage.options.driver = rows[i].file;
		settings->driver_layer = SETTINGS_COMMAND;
		(void)strcpy(settings->driver.url, rows[i].url);
		(void)strcpy(settings->driver.version, rows[i].version);
		work_begin(&scene->stage.ctx, &scene->guest, &scene->work);

		if (choose_cut_off(&scene->stage.ctx, &scene->state, &scene->work, words,
				   sizeof(words)) != rows[i].expected)
			fail_msg("row %zu: %s", i, words);
		assert_int_equal(scene->work.way_back, rows[i].way_back);
		assert_string_equal(scene->work.driver.version, rows[i].brought);
		assert_int_equal(words[0] != '\0', rows[i].expected);
	}
	end(scene);
}

#define OLD_PATH PATHS_BACKUP "/old.run"

/* The one before is the kept one; where an update was cut off, the one on record. */
static void the_driver_before_is_found_or_refused_with_a_way_out(void **state)
{
	static const struct {
		const char *previous, *path, *installing, *host;
		const char *expected, *words;
		bool way_back;
	} rows[] = {
		{ MACHINE_OLD, OLD_PATH, "", "", MACHINE_OLD, "", false },
		/* cut off on the way to it: it is gone on with */
		{ MACHINE_OLD, OLD_PATH, OLD_PATH, "", MACHINE_OLD, "", false },
		/* cut off on the way to a third one */
		{ MACHINE_OLD, OLD_PATH, "/third.run", "", MACHINE_NEW, "", true },
		{ "", "", "", "", NULL, "none before", false },
		{ MACHINE_OLD, "", "", "", NULL, "is not kept", false },
		{ MACHINE_OLD, PATHS_BACKUP "/gone.run", "", "", NULL, "is not kept",
		  false },
		{ MACHINE_OLD, OLD_PATH, "", "535.161.05", NULL, "later branch", false },
		{ MACHINE_OLD, OLD_PATH, "", "595.10.01", NULL, "too old", false },
	};
	const struct sysroot *sysroot = *state;
	struct scene *scene = scene_of(sysroot);

	sysroot_mkdir(sysroot, PATHS_BACKUP);
	sysroot_write(sysroot, PATHS_BACKUP "/new.run", MACHINE_NEW);
	sysroot_write(sysroot, OLD_PATH, MACHINE_OLD);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct state *record = &scene->state;
		struct error err = ERROR_INIT;
		char words[160] = "";
		int result;

		record->driver = (struct driver){ .kind = PACKAGE_RUN,
						  .version = MACHINE_NEW,
						  .path = PATHS_BACKUP "/new.run" };
		record->previous = (struct driver){ .kind = PACKAGE_RUN, .open = true };
		(void)strcpy(record->previous.version, rows[i].previous);
		(void)strcpy(record->previous.path, rows[i].path);
		record->installing = (struct driver){ .kind = PACKAGE_RUN };
		(void)strcpy(record->installing.path, rows[i].installing);
		if (rows[i].installing[0])
			(void)strcpy(record->installing.version, "550.144.03");
		(void)strcpy(scene->guest.host.version, rows[i].host);
		work_begin(&scene->stage.ctx, &scene->guest, &scene->work);

		result = choose_previous(&scene->stage.ctx, record, &scene->work, words,
					 sizeof(words), &err);

		assert_int_equal(result, rows[i].expected ? 0 : -1);
		if (!rows[i].expected) {
			assert_int_equal(err.code, ERROR_NO_MATCH);
			assert_non_null(strstr(err.text, rows[i].words));
			assert_true(err.hint[0]);
			continue;
		}
		assert_string_equal(scene->work.driver.version, rows[i].expected);
		assert_int_equal(scene->work.driver.open, !rows[i].way_back);
		assert_int_equal(scene->work.way_back, rows[i].way_back);
		assert_true(scene->work.recorded);
		assert_non_null(strstr(words, rows[i].expected));
	}
	end(scene);
}

static void the_systems_own_packages_are_its_familys(void **state)
{
	const struct os debian = { .id = "debian" },
			rocky = { .id = "rocky", .id_like = "rhel centos fedora" },
			other = { .id = "gentoo" };

	(void)state;
	assert_int_equal(choose_os_kind(&debian), PACKAGE_DEB);
	assert_int_equal(choose_os_kind(&rocky), PACKAGE_RPM);
	assert_int_equal(choose_os_kind(&other), PACKAGE_NONE);
}

#define RUN "NVIDIA-Linux-x86_64-" MACHINE_NEW "-grid.run"
#define LIST                                                                  \
	"{\"result\":{\"source\":\"manifest\",\"verified\":true,\"files\":[{" \
	"\"name\":\"" RUN "\",\"size\":7}],\"warnings\":[],\"catalog\":null," \
	"\"index\":null,\"index_verified\":false,\"index_signed\":false,"     \
	"\"index_key\":null}}"
#define DOWN "{\"error\":{\"name\":\"network\",\"message\":\"HTTP 503\"}}"

static void answer_list(struct scene *scene, const struct sysroot *sysroot,
			const char *answer)
{
	const struct worker_answer answers[] = { { "list", NULL, answer }, { NULL } };

	worker_set(&scene->stage, sysroot, answers);
	(void)strcpy(scene->stage.ctx.settings.driver.repository, "https://x.example/");
}

static void where_nothing_is_installed_the_repository_is_asked_once(void **state)
{
	struct scene *scene = scene_of(*state);

	answer_list(scene, *state, LIST);

	if (choose(scene) < 0)
		fail_msg("%s", scene->err.text);

	assert_int_equal(scene->work.match.rule, MATCH_BRANCH);
	assert_string_equal(scene->work.driver.version, MACHINE_NEW);
	assert_int_equal(scene->work.driver.kind, PACKAGE_RUN);
	assert_int_equal(worker_count(*state, "\"list\""), 1);
	end(scene);
}

/* That it is down is an error only where it is needed. */
static void a_repository_that_is_down_is_a_warning_where_a_driver_stays(void **state)
{
	struct scene *scene = scene_of(*state);

	answer_list(scene, *state, DOWN);
	assert_int_equal(choose(scene), -1);
	assert_int_equal(scene->err.code, ERROR_NETWORK);
	work_done(&scene->work);

	scene->err = ERROR_INIT;
	install(scene, MACHINE_OLD, true);
	work_begin(&scene->stage.ctx, &scene->guest, &scene->work);
	assert_int_equal(choose_driver(&scene->stage.ctx, &scene->state,
				       &scene->repository, true, &scene->work,
				       &scene->err),
			 0);
	assert_true(work_keeps_installed(&scene->work));
	assert_non_null(strstr(scene->work.match.warning, "HTTP 503"));
	end(scene);
}

/* A repository that is down fails who names a version, and nobody else. */
static void a_version_of_the_command_line_is_asked_for(void **state)
{
	static const struct {
		enum settings_layer layer;
		const char *version, *answer;
		int result;
		const char *driver; /* that is brought, or the error's words */
	} rows[] = {
		{ SETTINGS_COMMAND, MACHINE_NEW, LIST, 0, MACHINE_NEW },
		{ SETTINGS_COMMAND, MACHINE_NEW, DOWN, -1, "HTTP 503" },
		{ SETTINGS_COMMAND, MACHINE_OLD, DOWN, 0, MACHINE_OLD },
		{ SETTINGS_COMMAND, "550.1.1", LIST, -1, "of version 550.1.1" },
		{ SETTINGS_FILE, MACHINE_NEW, DOWN, 0, MACHINE_OLD },
	};

	struct scene *scene = scene_of(*state);

	install(scene, MACHINE_OLD, true);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		scene->err = ERROR_INIT;
		answer_list(scene, *state, rows[i].answer);
		scene->stage.ctx.settings.driver_layer = rows[i].layer;
		(void)strcpy(scene->stage.ctx.settings.driver.version, rows[i].version);

		if (choose(scene) != rows[i].result ||
		    !strstr(rows[i].result ? scene->err.text : scene->work.driver.version,
			    rows[i].driver))
			fail_msg("row %zu: %s, %s", i, scene->work.driver.version,
				 scene->err.text);
		work_done(&scene->work);
		repository_done(&scene->repository);
		scene->repository = (struct repository){ .source = REPOSITORY_NONE };
	}
	scene->work = WORK_INIT;
	end(scene);
}

static void a_driver_of_others_that_does_not_fit_is_in_the_way(void **state)
{
	struct scene *scene = scene_of(*state);

	install(scene, "470.82.01", false);
	assert_int_equal(choose(scene), -1);
	assert_int_equal(scene->err.code, ERROR_INSTALL);
	assert_non_null(strstr(scene->err.text, "is in the way"));
	assert_non_null(strstr(scene->err.hint, "nvidia-uninstall"));
	work_done(&scene->work);

	scene->err = ERROR_INIT;
	scene->stage.ctx.settings.driver.allow_mismatch = true;
	assert_int_equal(choose(scene), 0);
	assert_true(work_keeps_installed(&scene->work));
	end(scene);
}

static void a_run_minds_all_packages_and_a_package_those_of_others(void **state)
{
	static const struct {
		enum match_rule rule;
		enum package_kind next, here;
		const char *wanted;
		enum obstacle_packages expected;
	} rows[] = {
		{ MATCH_BRANCH, PACKAGE_RUN, PACKAGE_RUN, "auto", OBSTACLE_PACKAGES_ANY },
		{ MATCH_BRANCH, PACKAGE_BUNDLE, PACKAGE_NONE, "run",
		  OBSTACLE_PACKAGES_ANY },
		{ MATCH_BRANCH, PACKAGE_BUNDLE, PACKAGE_NONE, "rpm",
		  OBSTACLE_PACKAGES_OTHERS },
		{ MATCH_BRANCH, PACKAGE_DEB, PACKAGE_NONE, "auto",
		  OBSTACLE_PACKAGES_OTHERS },
		{ MATCH_BRANCH, PACKAGE_RUN, PACKAGE_RPM, "auto",
		  OBSTACLE_PACKAGES_OTHERS },
		{ MATCH_INSTALLED, PACKAGE_RUN, PACKAGE_RUN, "auto",
		  OBSTACLE_PACKAGES_NONE },
	};
	struct scene *scene = scene_of(*state);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		work_begin(&scene->stage.ctx, &scene->guest, &scene->work);
		scene->work.match.rule = rows[i].rule;
		scene->work.driver.kind = rows[i].next;
		scene->state.driver.kind = rows[i].here;
		(void)strcpy(scene->stage.ctx.settings.driver.package, rows[i].wanted);
		if (choose_obstacles(&scene->stage.ctx, &scene->state, &scene->work)
			    .packages != rows[i].expected)
			fail_msg("row %zu", i);
	}
	end(scene);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_driver_that_fits_stays_and_nobody_is_asked),
		TEST(what_is_installed_is_nothing_to_fetch),
		TEST(a_named_url_is_taken),
		TEST(where_no_driver_can_be_right_nothing_is_chosen),
		TEST(a_run_that_was_cut_off_is_finished_or_put_back),
		TEST(the_driver_before_is_found_or_refused_with_a_way_out),
		TEST(the_systems_own_packages_are_its_familys),
		TEST(where_nothing_is_installed_the_repository_is_asked_once),
		TEST(a_repository_that_is_down_is_a_warning_where_a_driver_stays),
		TEST(a_version_of_the_command_line_is_asked_for),
		TEST(a_driver_of_others_that_does_not_fit_is_in_the_way),
		TEST(a_run_minds_all_packages_and_a_package_those_of_others),
	};

	return cmocka_run_group_tests_name("choose", tests, NULL, NULL);
}
