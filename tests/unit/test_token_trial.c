/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "license/token_trial.h"

#include <fcntl.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "model/paths.h"
#include "steps/license/token.h"
#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/smi_report.h"
#include "support/stage.h"

#define KEPT PATHS_TOKEN_BACKUP "/licensed.tok"
#define REJECTED PATHS_TOKEN_BACKUP "/rejected.tok"
#define OLD "eyJhbGciOiJSUzI1NiJ9.old.sig"
#define NEW "eyJhbGciOiJSUzI1NiJ9.new.sig"

static const struct guest guest = { .gpus = { .count = 1,
					      .gpus = { { .kind = GPU_VGPU } } } };
static char told[512]; /* the journal's last event */

/* Stands before libsystemd's: the journal of the test's machine is not told. */
int sd_journal_send(const char *format, ...)
{
	va_list list;

	va_start(list, format);
	(void)vsnprintf(told, sizeof(told), format, list);
	va_end(list);
	return 0;
}

struct scene {
	struct stage stage;
	struct script script;
	struct script_answer answers[2];
	char *report;
};

/* The driver says this of its GPU; NULL: whoever asks it fails the test. */
static void prepare(const struct sysroot *sysroot, struct scene *scene,
		    const char *status)
{
	stage_set(&scene->stage, sysroot);
	stage_add_program(sysroot, PATHS_SMI, "");
	scene->stage.ctx.settings.license.wait = 0;
	scene->report = status ? smi_report_vgpus(1, 1, status) : NULL;
	scene->answers[0] = (struct script_answer){
		.match = status ? "nvidia-smi -q" : NULL,
		.output = scene->report,
	};
	scene->answers[1] = (struct script_answer){ .match = NULL };
	script_init(&scene->script, scene->answers, NULL);
	scene->stage.ctx.runner = &scene->script.runner;
	told[0] = '\0';
}

static void scene_done(struct scene *scene)
{
	free(scene->report);
}

static int setup(void **state)
{
	struct error err = ERROR_INIT;
	const struct sysroot *sysroot;

	(void)sysroot_setup(state);
	sysroot = *state;
	sysroot_mkdir(sysroot, PATHS_TOKENS);
	assert_int_equal(root_mkdir(&sysroot->root, PATHS_TOKEN_BACKUP, 0700, &err), 0);
	return 0;
}

static int memory_of(const char *text)
{
	struct error err = ERROR_INIT;
	int fd = -1;

	assert_int_equal(token_memory(text, strlen(text), &fd, &err), 0);
	return fd;
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

/* A file with this text, or none where it is NULL. */
static void put(const struct sysroot *sysroot, const char *path, const char *text)
{
	root_discard(&sysroot->root, path);
	if (text)
		sysroot_write(sysroot, path, text);
}

static void only_a_token_that_licenses_is_kept_before_another_one(void **state)
{
	static const struct {
		enum job job;
		bool offline;
		const char *installed, *status; /* status NULL: the driver is not asked */
		bool kept;
	} cases[] = {
		{ JOB_RUN, false, OLD, "Licensed (Expiry: N/A)", true },
		{ JOB_ROTATE, false, OLD, "Licensed (Expiry: N/A)", true },
		{ JOB_RUN, false, OLD, "Unlicensed (Unrestricted)", false },
		{ JOB_RUN, false, NEW, NULL, false },
		{ JOB_RUN, false, NULL, NULL, false },
		{ JOB_RUN, true, OLD, NULL, false },
		{ JOB_TOKEN, false, OLD, NULL, false },
		{ JOB_INSTALL, false, OLD, NULL, false },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		cleanup_fd int fd = memory_of(NEW);
		struct error err = ERROR_INIT;

		prepare(sysroot, &scene, cases[i].status);
		scene.stage.ctx.job = cases[i].job;
		scene.stage.ctx.offline = cases[i].offline;
		put(sysroot, KEPT, NULL);
		put(sysroot, PATHS_TOKEN, cases[i].installed);
		assert_int_equal(token_trial_begin(&scene.stage.ctx, &guest, fd, &err),
				 0);

		assert_int_equal(is_there(sysroot, KEPT), cases[i].kept);
		if (cases[i].kept)
			sysroot_assert_text(sysroot, KEPT, OLD);
	}
}

static int interrupt(struct runner *runner, const struct root *root,
		     const struct run *run, struct run_result *ret_result,
		     struct error *err)
{
	(void)runner;
	(void)root;
	(void)run;
	(void)ret_result;
	return error_set_interrupted(err);
}

static void a_look_at_the_driver_that_is_interrupted_ends_it(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	cleanup_fd int fd = memory_of(NEW);
	struct error err = ERROR_INIT;

	prepare(*state, &scene, NULL);
	scene.script.runner.start = interrupt;
	put(*state, PATHS_TOKEN, OLD);
	assert_int_equal(token_trial_begin(&scene.stage.ctx, &guest, fd, &err), -1);

	assert_true(err.interrupted);
	assert_false(is_there(*state, KEPT));
}

static void a_token_is_refused_that_failed_where_a_better_one_is_installed(void **state)
{
	static const struct {
		enum job job;
		bool offline;
		const char *rejected, *installed;
		bool refused;
	} cases[] = {
		{ JOB_RUN, false, NEW, OLD, true },
		{ JOB_ROTATE, false, NEW, OLD, true },
		{ JOB_RUN, false, OLD, OLD, false },
		{ JOB_RUN, false, NULL, OLD, false },
		{ JOB_RUN, false, NEW, NEW, false },
		{ JOB_RUN, false, NEW, NULL, false },
		{ JOB_TOKEN, false, NEW, OLD, false }, /* who types it wants it */
		{ JOB_RUN, true, NEW, OLD, false },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };
		cleanup_fd int fd = memory_of(NEW);

		prepare(sysroot, &scene, NULL);
		scene.stage.ctx.job = cases[i].job;
		scene.stage.ctx.offline = cases[i].offline;
		put(sysroot, REJECTED, cases[i].rejected);
		put(sysroot, PATHS_TOKEN, cases[i].installed);

		if (token_trial_refuses(&scene.stage.ctx, fd) != cases[i].refused)
			fail_msg("case %zu: refused: %d", i, !cases[i].refused);
	}
}

/* What a wait in vain for this token leaves behind, undone; the calls to systemd. */
static const char *undo(const struct sysroot *sysroot, const char *status,
			const char *refuse, struct license_report *report,
			struct error *err)
{
	static struct fake_systemd fake;
	cleanup(scene_done) struct scene scene = { 0 };

	fake = FAKE_SYSTEMD_INIT;
	fake.refuse = refuse;
	fake.refuse_error = "org.freedesktop.systemd1.Nothing";
	prepare(sysroot, &scene, status);
	fake_systemd_start(&fake);
	token_trial_undo(&scene.stage.ctx, &guest, report, err);
	fake_systemd_stop(&fake);
	return fake.calls;
}

static void what_did_not_license_gives_way_to_the_one_before(void **state)
{
	const struct sysroot *sysroot = *state;
	static struct license_report report;
	struct error err = ERROR_INIT;
	const char *calls;

	put(sysroot, KEPT, OLD);
	put(sysroot, PATHS_TOKEN, NEW);
	(void)error_set(&err, ERROR_UNLICENSED, "no pool");
	calls = undo(sysroot, "Licensed (Expiry: N/A)", NULL, &report, &err);

	sysroot_assert_text(sysroot, PATHS_TOKEN, OLD);
	sysroot_assert_text(sysroot, REJECTED, NEW);
	assert_non_null(strstr(calls, "RestartUnit"));
	assert_int_equal(report.count, 1);
	assert_int_equal(err.code, ERROR_UNLICENSED);
	assert_string_equal(err.text, "the new token did not license (no pool): the one "
				      "before is back, and licensed");
	assert_non_null(strstr(err.hint, "token install FILE"));
	assert_non_null(strstr(told, "the one before is back"));
}

static void
that_the_one_before_does_not_license_either_is_said_with_both_reasons(void **state)
{
	static const struct {
		const char *status, *refuse; /* status NULL: the driver is not asked */
		enum error_code code;
		const char *why;
	} cases[] = {
		{ "Unlicensed", NULL, ERROR_UNLICENSED, "is not licensed after 0 s" },
		{ NULL, "RestartUnit", ERROR_INTERNAL, "restarting nvidia-gridd" },
		{ NULL, "LoadUnit", ERROR_INTERNAL, "asking systemd" },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static struct license_report report;
		struct error err = ERROR_INIT;

		put(sysroot, KEPT, OLD);
		put(sysroot, PATHS_TOKEN, NEW);
		(void)error_set(&err, ERROR_UNLICENSED, "no pool");
		(void)undo(sysroot, cases[i].status, cases[i].refuse, &report, &err);

		sysroot_assert_text(sysroot, PATHS_TOKEN, OLD);
		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.text, "did not license (no pool)"));
		assert_non_null(strstr(err.text, cases[i].why));
		assert_string_equal(told, "");
	}
}

/* The script has no answer, and no token is moved. */
static void nothing_is_undone_where_no_token_is_on_trial(void **state)
{
	static const struct {
		enum error_code code;
		bool interrupted;
		const char *kept, *installed;
	} cases[] = {
		{ ERROR_UNLICENSED, true, OLD, NEW },
		{ ERROR_DRIVER, false, OLD, NEW },
		{ ERROR_UNLICENSED, false, NULL, NEW },
		{ ERROR_UNLICENSED, false, OLD, OLD },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		static struct license_report report;
		struct error err = ERROR_INIT;

		put(sysroot, KEPT, cases[i].kept);
		put(sysroot, PATHS_TOKEN, cases[i].installed);
		(void)error_set(&err, cases[i].code, "as it was");
		err.interrupted = cases[i].interrupted;
		assert_string_equal(undo(sysroot, NULL, NULL, &report, &err), "");

		sysroot_assert_text(sysroot, PATHS_TOKEN, cases[i].installed);
		assert_false(is_there(sysroot, REJECTED));
		assert_int_equal(err.code, cases[i].code);
		assert_string_equal(err.text, "as it was");
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(only_a_token_that_licenses_is_kept_before_another_one),
		TEST(a_look_at_the_driver_that_is_interrupted_ends_it),
		TEST(a_token_is_refused_that_failed_where_a_better_one_is_installed),
		TEST(what_did_not_license_gives_way_to_the_one_before),
		TEST(that_the_one_before_does_not_license_either_is_said_with_both_reasons),
		TEST(nothing_is_undone_where_no_token_is_on_trial),
	};

	return cmocka_run_group_tests_name("token_trial", tests, NULL, NULL);
}
