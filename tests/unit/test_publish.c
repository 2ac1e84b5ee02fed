/* SPDX-License-Identifier: Apache-2.0 */
#include "license/publish.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "base/file.h"
#include "core/last_run.h"
#include "model/license/smi.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/smi_report.h"
#include "support/stage.h"

#define LICENSED "Licensed (Expiry: N/A)"
#define UNLICENSED "Unlicensed (Unrestricted)"

/* Stands before libsystemd's: there is no journal. */
int sd_journal_open(sd_journal **ret, int flags)
{
	(void)ret;
	(void)flags;
	return -ENOENT;
}

struct scene {
	struct stage stage;
	struct script script;
	struct script_answer answers[3];
	struct fake_systemd fake;
	char *said; /* by nvidia-smi */
	struct license_report report;
};

/* A vGPU whose license is `status`; the driver is silent about it where that is NULL. */
static void prepare(const struct sysroot *sysroot, struct scene *scene,
		    const char *status)
{
	stage_set(&scene->stage, sysroot);
	stage_add_program(sysroot, PATHS_SMI, "");
	stage_add_program(sysroot, "/usr/bin/systemctl", "");
	scene->said = smi_report_vgpus(1, 1, status ? status : UNLICENSED);
	scene->answers[0] = (struct script_answer){
		.match = "nvidia-smi -q",
		.output = status ? scene->said : "no devices were found\n",
		.status = status ? 0 : 6,
	};
	scene->answers[1] = (struct script_answer){ .match = "systemctl --no-block" };
	scene->answers[2] = (struct script_answer){ .match = NULL };
	script_init(&scene->script, scene->answers, NULL);
	scene->stage.ctx.runner = &scene->script.runner;
	scene->fake = FAKE_SYSTEMD_INIT;
	memset(&scene->report, 0, sizeof(scene->report));
}

/* The report that a run has read already. */
static void look(struct scene *scene)
{
	struct error err = ERROR_INIT;

	assert_int_equal(smi_parse((struct span){ scene->said, strlen(scene->said) },
				   &scene->report, &err),
			 0);
}

static void publish(struct scene *scene, size_t gpus)
{
	fake_systemd_start(&scene->fake);
	publish_license(&scene->stage.ctx, gpus, &scene->report);
	fake_systemd_stop(&scene->fake);
}

static void scene_done(struct scene *scene)
{
	free(scene->said);
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	const struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	assert_int_equal(root_mkdir(&sysroot->root, "/run/systemd/system", 0755, &err),
			 0);
	assert_int_equal(root_mkdir(&sysroot->root, PATHS_RUN, 0755, &err), 0);
	return 0;
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static struct json *read_status(const struct sysroot *sysroot)
{
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;
	struct json *status = NULL;
	size_t size;

	assert_int_equal(
		file_read(&sysroot->root, PATHS_STATUS, 65536, &text, &size, &err), 0);
	assert_int_equal(json_parse(text, size, &status, &err), 0);
	return status;
}

static void the_status_has_a_reason_where_a_driver_shows_no_license(void **state)
{
	static const struct {
		const char *status; /* NULL: the driver is silent */
		bool licensed;
		const char *reason;
	} cases[] = {
		{ LICENSED, true, NULL },
		{ UNLICENSED, false, "token_missing" },
		{ NULL, false, NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *status = NULL;
		cleanup(scene_done) struct scene scene = { 0 };
		const char *reason;
		bool licensed;

		prepare(*state, &scene, cases[i].status);
		if (cases[i].status)
			look(&scene);
		fake_systemd_start(&scene.fake);
		assert_int_equal(publish_status(&scene.stage.ctx, 1,
						cases[i].status ? &scene.report : NULL,
						NULL, &status, &licensed),
				 0);
		fake_systemd_stop(&scene.fake);

		assert_int_equal(licensed, cases[i].licensed);
		assert_int_equal(json_get_bool(status, "licensed", !licensed), licensed);
		assert_int_equal(json_count(json_get(status, "gpus")),
				 cases[i].status ? 1 : 0);
		reason = json_get_string(json_get(status, "reason"), "code");
		assert_string_equal(reason ? reason : "",
				    cases[i].reason ? cases[i].reason : "");
	}
}

static void a_gpu_that_the_driver_does_not_show_is_not_licensed(void **state)
{
	cleanup_json struct json *status = NULL;
	cleanup(scene_done) struct scene scene = { 0 };
	bool licensed = true;

	prepare(*state, &scene, LICENSED);
	look(&scene);
	fake_systemd_start(&scene.fake);
	assert_int_equal(publish_status(&scene.stage.ctx, 2, &scene.report, NULL, &status,
					&licensed),
			 0);
	fake_systemd_stop(&scene.fake);

	assert_false(licensed);
}

static void the_status_tells_how_the_last_run_ended(void **state)
{
	const struct sysroot *sysroot = *state;
	const struct guest guest = { .gpus = { .count = 1 } };
	cleanup_json struct json *status = NULL;
	cleanup(scene_done) struct scene scene = { 0 };
	struct error failed = ERROR_INIT;

	prepare(sysroot, &scene, LICENSED);
	look(&scene);
	scene.stage.tools.step = "token";
	(void)error_set(&failed, ERROR_TOKEN, "no token");
	last_run_write(&scene.stage.ctx, &guest, 0, -1, &failed);
	publish(&scene, 1);

	status = read_status(sysroot);
	assert_string_equal(json_get_string(json_get(status, "run"), "step"), "token");
	assert_string_equal(json_get_string(json_get(status, "run"), "message"),
			    "no token");
}

/* Files and target, from what was there before to what a run has found. */
static void files_and_target_follow_the_license(void **state)
{
	static const struct {
		bool was;
		const char *target, *status, *verb; /* verb NULL: systemd is left alone */
	} cases[] = {
		{ false, "inactive", LICENSED, "start" },
		{ true, "active", LICENSED, NULL },
		{ true, "failed", LICENSED, "start" },
		{ true, "active", UNLICENSED, "stop" },
		{ false, "inactive", UNLICENSED, NULL },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool licensed = strcmp(cases[i].status, LICENSED) == 0;
		cleanup_json struct json *status = NULL;
		cleanup(scene_done) struct scene scene = { 0 };
		char command[128];

		prepare(sysroot, &scene, cases[i].status);
		look(&scene);
		root_discard(&sysroot->root, PATHS_LICENSED);
		if (cases[i].was)
			sysroot_write(sysroot, PATHS_LICENSED, "");
		scene.fake.active = cases[i].target;
		publish(&scene, 1);

		status = read_status(sysroot);
		assert_int_equal(json_get_bool(status, "licensed", !licensed), licensed);
		assert_int_equal(is_there(sysroot, PATHS_LICENSED), licensed);
		(void)snprintf(command, sizeof(command),
			       "systemctl --no-block %s vgpu-licensed.target",
			       cases[i].verb ? cases[i].verb : "");
		assert_int_equal(script_count(&scene.script, "systemctl"),
				 cases[i].verb != NULL);
		assert_int_equal(script_count(&scene.script, command),
				 cases[i].verb != NULL);
	}
}

/* A run that failed before it looked. */
static void the_driver_is_asked_again_only_where_a_license_was_shown(void **state)
{
	static const struct {
		bool was;
		const char *status; /* NULL: the driver is silent */
		int asked;
		bool told, licensed;
	} cases[] = {
		{ false, LICENSED, 0, false, false },
		{ true, LICENSED, 1, true, true },
		{ true, UNLICENSED, 1, true, false },
		{ true, NULL, 1, true, false },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(sysroot, &scene, cases[i].status);
		root_discard(&sysroot->root, PATHS_STATUS);
		root_discard(&sysroot->root, PATHS_LICENSED);
		if (cases[i].was)
			sysroot_write(sysroot, PATHS_LICENSED, "");
		publish(&scene, 1);

		assert_int_equal(script_count(&scene.script, "nvidia-smi"),
				 cases[i].asked);
		assert_int_equal(is_there(sysroot, PATHS_STATUS), cases[i].told);
		assert_int_equal(is_there(sysroot, PATHS_LICENSED), cases[i].licensed);
	}
}

static void a_guest_without_a_driver_to_ask_tells_nothing(void **state)
{
	static const struct {
		bool offline;
		size_t gpus;
	} cases[] = { { true, 1 }, { false, 0 }, { true, 0 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		look(&scene);
		scene.stage.ctx.offline = cases[i].offline;
		publish(&scene, cases[i].gpus);

		assert_false(is_there(*state, PATHS_STATUS));
		assert_string_equal(scene.script.log, "");
	}
}

/* The folder's name is a file's: neither is harmed, and the caller goes on. */
static void what_cannot_be_told_is_a_warning(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_fd int saved = dup(STDERR_FILENO);
	cleanup(scene_done) struct scene scene = { 0 };
	struct error err = ERROR_INIT;
	char text[512] = "";
	FILE *said = tmpfile();

	assert_non_null(said);
	prepare(sysroot, &scene, LICENSED);
	look(&scene);
	assert_int_equal(root_remove_tree(&sysroot->root, PATHS_RUN, &err), 0);
	sysroot_write(sysroot, PATHS_RUN, "in the way");
	assert_int_equal(dup2(fileno(said), STDERR_FILENO), STDERR_FILENO);
	publish(&scene, 1);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);

	assert_true(pread(fileno(said), text, sizeof(text) - 1, 0) > 0);
	(void)fclose(said);
	assert_non_null(strstr(text, "warning: telling of the license: "));
	sysroot_assert_text(sysroot, PATHS_RUN, "in the way");
	assert_int_equal(script_count(&scene.script, "systemctl"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_status_has_a_reason_where_a_driver_shows_no_license),
		TEST(a_gpu_that_the_driver_does_not_show_is_not_licensed),
		TEST(the_status_tells_how_the_last_run_ended),
		TEST(files_and_target_follow_the_license),
		TEST(the_driver_is_asked_again_only_where_a_license_was_shown),
		TEST(a_guest_without_a_driver_to_ask_tells_nothing),
		TEST(what_cannot_be_told_is_a_warning),
	};

	return cmocka_run_group_tests_name("publish", tests, NULL, NULL);
}
