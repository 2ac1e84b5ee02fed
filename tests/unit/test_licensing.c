/* SPDX-License-Identifier: Apache-2.0 */
#define SD_JOURNAL_SUPPRESS_LOCATION
#include "license/licensing.h"

#include <errno.h>
#include <string.h>
#include <systemd/sd-journal.h>
#include <unistd.h>

#include "model/license/smi.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/fake_systemd.h"
#include "support/smi_report.h"
#include "support/stage.h"

#define LICENSED "Licensed (Expiry: N/A)"
#define UNLICENSED "Unlicensed (Unrestricted)"
#define MINE PATHS_TOKENS "/mine.tok"
#define KEPT PATHS_TOKEN_BACKUP "/licensed.tok"
#define REJECTED PATHS_TOKEN_BACKUP "/rejected.tok"
#define OLD "eyJhbGciOiJSUzI1NiJ9.old.sig"
#define NEW "eyJhbGciOiJSUzI1NiJ9.new.sig"
#define GOOD                                                                       \
	"echo '{\"result\":{\"problems\":[],\"expires\":\"2030-01-02T03:04:05Z\"," \
	"\"not_before\":\"2020-01-02T03:04:05Z\"}}' >&3"
#define BAD                                                                        \
	"echo '{\"result\":{\"problems\":[{\"severity\":\"error\",\"code\":\"x\"," \
	"\"message\":\"no token\"}]}}' >&3"

/* Stand before libsystemd's: there is no journal, and none is told. */
int sd_journal_open(sd_journal **ret, int flags)
{
	(void)ret;
	(void)flags;
	return -ENOENT;
}

int sd_journal_send(const char *format, ...)
{
	(void)format;
	return 0;
}

struct scene {
	struct stage stage;
	struct script script;
	struct script_answer answers[2];
	char *said; /* by nvidia-smi */
	struct fake_systemd fake;
	struct guest guest;
	struct metadata metadata;
	struct lease lease;
	struct outcome outcome;
	struct error err;
};

/* A vGPU; the driver says this of it. NULL: whoever asks it fails the test. */
static void prepare(const struct sysroot *sysroot, struct scene *scene,
		    const char *status)
{
	memset(scene, 0, sizeof(*scene));
	stage_set(&scene->stage, sysroot);
	stage_add_program(sysroot, PATHS_SMI, "");
	stage_set_worker(&scene->stage, sysroot, GOOD);
	scene->stage.ctx.settings.license.wait = 0;
	scene->said = status ? smi_report_vgpus(1, 1, status) : NULL;
	scene->answers[0] = (struct script_answer){
		.match = status ? "nvidia-smi -q" : NULL,
		.output = scene->said,
	};
	script_init(&scene->script, scene->answers, NULL);
	scene->stage.ctx.runner = &scene->script.runner;
	scene->fake = FAKE_SYSTEMD_INIT;
	scene->guest.gpus.count = 1;
	scene->guest.gpus.gpus[0].kind = GPU_VGPU;
	scene->lease = LEASE_INIT;
}

static void scene_done(struct scene *scene)
{
	free(scene->said);
}

/* The metadata bring this token. */
static void bring(struct scene *scene, char *text)
{
	scene->metadata.token = text;
	scene->metadata.token_size = strlen(text);
	strcpy(scene->metadata.token_source, "vendor data");
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

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static int configure(struct scene *scene)
{
	scene->outcome = (struct outcome){ .kind = OUTCOME_PENDING };
	return licensing_configure(&scene->stage.ctx, &scene->outcome, &scene->err);
}

static int token(struct scene *scene)
{
	scene->outcome = (struct outcome){ .kind = OUTCOME_PENDING };
	return licensing_token(&scene->stage.ctx, &scene->guest, &scene->metadata,
			       &scene->lease, &scene->outcome, &scene->err);
}

static int gridd(struct scene *scene)
{
	int result;

	scene->fake.calls[0] = '\0';
	scene->outcome = (struct outcome){ .kind = OUTCOME_PENDING };
	fake_systemd_start(&scene->fake);
	result = licensing_gridd(&scene->stage.ctx, &scene->guest, &scene->lease,
				 &scene->outcome, &scene->err);
	fake_systemd_stop(&scene->fake);
	return result;
}

static int license(struct scene *scene)
{
	int result;

	scene->outcome = (struct outcome){ .kind = OUTCOME_PENDING };
	fake_systemd_start(&scene->fake);
	result = licensing_license(&scene->stage.ctx, &scene->guest, &scene->lease,
				   &scene->outcome, &scene->err);
	fake_systemd_stop(&scene->fake);
	return result;
}

static void gridd_conf_is_changed_once(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, NULL);
	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=0\n");
	assert_int_equal(configure(&scene), 0);
	assert_int_equal(scene.outcome.kind, OUTCOME_CHANGED);
	assert_string_equal(scene.outcome.detail, "FeatureType 0 -> 1");

	assert_int_equal(configure(&scene), 0);
	assert_int_equal(scene.outcome.kind, OUTCOME_UNCHANGED);
	assert_string_equal(scene.outcome.detail, PATHS_GRIDD_CONF " is as it should be");
}

static void a_gridd_conf_that_cannot_be_written_is_an_error(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, NULL);
	sysroot_mkdir(*state, PATHS_GRIDD_CONF);

	assert_int_equal(configure(&scene), -1);
	assert_int_equal(scene.outcome.kind, OUTCOME_PENDING);
}

static void without_a_token_only_who_needs_one_fails(void **state)
{
	static const struct {
		bool offline;
		enum gpu_kind kind;
		const char *status, *detail; /* detail NULL: ERROR_TOKEN */
	} cases[] = {
		{ true, GPU_VGPU, NULL, "no token: the guest's metadata may have one" },
		{ false, GPU_PASSTHROUGH, NULL, "no GPU here needs a license" },
		{ false, GPU_VGPU, LICENSED, "licensed without a token" },
		{ false, GPU_VGPU, UNLICENSED, NULL },
		{ false, GPU_VGPU, "ERR!", NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, cases[i].status);
		scene.stage.ctx.offline = cases[i].offline;
		scene.guest.gpus.gpus[0].kind = cases[i].kind;
		assert_int_equal(token(&scene), cases[i].detail ? 0 : -1);

		assert_int_equal(scene.err.code,
				 cases[i].detail ? ERROR_NONE : ERROR_TOKEN);
		assert_string_equal(scene.outcome.detail,
				    cases[i].detail ? cases[i].detail : "");
		assert_int_equal(scene.outcome.kind,
				 cases[i].detail ? OUTCOME_SKIPPED : OUTCOME_PENDING);
	}
}

static void a_token_is_installed_once_with_its_source(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	char text[] = NEW;

	prepare(*state, &scene, NULL);
	bring(&scene, text);
	assert_int_equal(token(&scene), 0);
	assert_int_equal(scene.outcome.kind, OUTCOME_CHANGED);
	assert_string_equal(scene.outcome.detail, "vendor data, installed");
	assert_int_equal(scene.lease.token_expires, 1893553445);
	sysroot_assert_text(*state, PATHS_TOKEN, NEW);

	assert_int_equal(token(&scene), 0);
	assert_int_equal(scene.outcome.kind, OUTCOME_UNCHANGED);
	assert_string_equal(scene.outcome.detail, "vendor data");
}

static void an_installed_token_keeps_its_name(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, NULL);
	sysroot_write(*state, MINE, OLD);
	assert_int_equal(token(&scene), 0);

	assert_int_equal(scene.outcome.kind, OUTCOME_UNCHANGED);
	assert_string_equal(scene.outcome.detail, "the installed token");
	sysroot_assert_text(*state, MINE, OLD);
	assert_false(is_there(*state, PATHS_TOKEN));
}

static void a_damaged_token_leaves_the_installed_one(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	char text[] = NEW;

	prepare(*state, &scene, NULL);
	stage_set_worker(&scene.stage, *state, BAD);
	sysroot_write(*state, PATHS_TOKEN, OLD);
	bring(&scene, text);
	assert_int_equal(token(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_TOKEN);
	assert_string_equal(scene.err.text, "vendor data: no token");
	sysroot_assert_text(*state, PATHS_TOKEN, OLD);
}

static void what_failed_before_does_not_replace_what_licenses(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	char text[] = NEW;

	prepare(*state, &scene, NULL);
	sysroot_write(*state, PATHS_TOKEN, OLD);
	sysroot_write(*state, REJECTED, NEW);
	bring(&scene, text);
	assert_int_equal(token(&scene), 0);

	assert_non_null(strstr(scene.outcome.detail, "vendor data has one that did not "
						     "license before"));
	sysroot_assert_text(*state, PATHS_TOKEN, OLD);
}

static void a_token_that_licenses_is_kept_while_another_is_tried(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };
	char text[] = NEW;

	prepare(*state, &scene, LICENSED);
	sysroot_write(*state, PATHS_TOKEN, OLD);
	bring(&scene, text);
	assert_int_equal(token(&scene), 0);

	sysroot_assert_text(*state, KEPT, OLD);
	sysroot_assert_text(*state, PATHS_TOKEN, NEW);
}

static void the_daemon_is_left_alone_where_it_is_not_needed_or_not_there(void **state)
{
	static const struct {
		enum gpu_kind kind;
		enum job job;
		const char *load, *detail, *calls;
	} cases[] = {
		{ GPU_PASSTHROUGH, JOB_RUN, "loaded", "no GPU here needs a license", "" },
		{ GPU_VGPU, JOB_TOKEN, "not-found", "nvidia-gridd is not installed yet",
		  "LoadUnit" },
		{ GPU_VGPU, JOB_CONFIGURE, "not-found",
		  "nvidia-gridd is not installed yet", "LoadUnit" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, NULL);
		scene.guest.gpus.gpus[0].kind = cases[i].kind;
		scene.stage.ctx.job = cases[i].job;
		scene.fake.load = cases[i].load;
		assert_int_equal(gridd(&scene), 0);

		assert_int_equal(scene.outcome.kind, OUTCOME_SKIPPED);
		assert_string_equal(scene.outcome.detail, cases[i].detail);
		assert_string_equal(scene.fake.calls, cases[i].calls);
		assert_false(scene.lease.restarted);
	}
}

/* After a run that installed a driver there must be one. */
static void a_run_without_a_daemon_fails(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, NULL);
	scene.fake.load = "not-found";
	assert_int_equal(gridd(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_INSTALL);
	assert_false(scene.lease.restarted);
}

/* Started long after everything that it reads was written, except in one thing. */
static void the_daemon_is_started_again_for_any_one_reason(void **state)
{
	static const struct {
		const char *active, *file;
		bool units, loaded, older;
		const char *detail, *first; /* first NULL: it stays as it is */
	} cases[] = {
		{ "active", "enabled", false, false, false,
		  "nvidia-gridd.service is active (running), nothing it reads has changed",
		  NULL },
		{ "inactive", "enabled", false, false, false,
		  "nvidia-gridd.service started", "LoadUnit" },
		{ "active", "disabled", false, false, false,
		  "nvidia-gridd.service restarted", "LoadUnit" },
		{ "active", "enabled", true, false, false,
		  "nvidia-gridd.service restarted", "Reload" },
		{ "active", "enabled", false, true, false,
		  "nvidia-gridd.service restarted", "LoadUnit" },
		{ "active", "enabled", false, false, true,
		  "nvidia-gridd.service restarted", "LoadUnit" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		bool restarts = cases[i].first != NULL;
		cleanup(scene_done) struct scene scene = { 0 };
		char calls[64];

		prepare(*state, &scene, NULL);
		sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=1\n");
		scene.fake.active = cases[i].active;
		scene.fake.file = cases[i].file;
		scene.fake.started = cases[i].older ? 1 : UINT64_C(9000000000000000);
		scene.lease.units_changed = cases[i].units;
		scene.lease.loaded = cases[i].loaded;
		assert_int_equal(gridd(&scene), 0);

		assert_int_equal(scene.lease.restarted, restarts);
		assert_int_equal(scene.outcome.kind,
				 restarts ? OUTCOME_CHANGED : OUTCOME_PENDING);
		assert_string_equal(scene.outcome.detail, cases[i].detail);
		(void)snprintf(calls, sizeof(calls), "LoadUnit%s%s", restarts ? " " : "",
			       restarts ? cases[i].first : "");
		assert_int_equal(strncmp(scene.fake.calls, calls, strlen(calls)), 0);
		assert_int_equal(strstr(scene.fake.calls, "RestartUnit") != NULL,
				 restarts);
	}
}

/* By the labels of SELinux's policy, where one is in force; and it is started all the
 * same. */
static void what_the_daemon_reads_is_labelled_before_it_starts(void **state)
{
	static const struct {
		const char *active;
		int status, labelled;
	} cases[] = { { "inactive", 0, 1 }, { "inactive", 255, 1 }, { "active", 0, 0 } };

	sysroot_mkdir(*state, "/sys/fs/selinux");
	sysroot_write(*state, "/sys/fs/selinux/enforce", "1");
	sysroot_mkdir(*state, "/etc/selinux");
	sysroot_write(*state, "/etc/selinux/config", "SELINUX=enforcing\n");
	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=1\n");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, NULL);
		stage_add_program(*state, "/usr/sbin/restorecon", "");
		scene.answers[0] = (struct script_answer){ .match = "restorecon -R",
							   .status = cases[i].status };
		scene.fake.active = cases[i].active;
		scene.fake.file = "enabled";
		scene.fake.started = UINT64_C(9000000000000000);

		assert_int_equal(gridd(&scene), 0);

		assert_int_equal(script_count(&scene.script, " " PATHS_NVIDIA),
				 cases[i].labelled);
		assert_int_equal(scene.lease.restarted, cases[i].labelled);
		assert_int_equal(scene.outcome.warning[0] != '\0', cases[i].status != 0);
	}
}

/* Each alone, changed a microsecond after the daemon began, and just when it began. */
static void whatever_the_daemon_reads_must_be_older_than_it(void **state)
{
	static const char *const inputs[] = { PATHS_GRIDD_CONF, PATHS_TOKENS, PATHS_TOKEN,
					      PATHS_GRIDD };

	for (size_t i = 0; i < ARRAY_SIZE(inputs); i++) {
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		struct stat st;

		assert_int_equal(root_remove_tree(&sysroot->root, "/etc/nvidia", &err),
				 0);
		root_discard(&sysroot->root, PATHS_GRIDD);
		sysroot_mkdir(sysroot, "/etc/nvidia");
		if (strncmp(inputs[i], PATHS_TOKENS, strlen(PATHS_TOKENS)) == 0)
			sysroot_mkdir(sysroot, PATHS_TOKENS);
		if (strcmp(inputs[i], PATHS_TOKENS) != 0)
			stage_add_program(sysroot, inputs[i], OLD);
		assert_true(root_stat(&sysroot->root, inputs[i], &st));

		for (int later = 0; later < 2; later++) {
			cleanup(scene_done) struct scene scene = { 0 };

			prepare(sysroot, &scene, NULL);
			scene.fake.started = (uint64_t)st.st_ctim.tv_sec * 1000000 +
					     (uint64_t)st.st_ctim.tv_nsec / 1000 - 1 +
					     (uint64_t)later;
			assert_int_equal(gridd(&scene), 0);
			assert_int_equal(scene.lease.restarted, !later);
		}
	}
}

static void a_daemon_that_does_not_start_is_explained(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, NULL);
	scene.lease.loaded = true;
	scene.fake.job = "failed";
	assert_int_equal(gridd(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_UNLICENSED);
	assert_non_null(strstr(scene.err.text, "did not start: failed: "));
	assert_non_null(strstr(scene.err.text, "token"));
	assert_false(scene.lease.restarted);
}

static void a_license_is_told_in_the_driver_s_words_and_ends_the_trial(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	sysroot_write(*state, KEPT, OLD);
	assert_int_equal(license(&scene), 0);

	assert_string_equal(scene.outcome.detail, "NVIDIA L40S-2Q: " LICENSED);
	assert_string_equal(scene.outcome.warning, "");
	assert_false(is_there(*state, KEPT));
	assert_int_equal(scene.lease.report.count, 1);
}

static void an_older_token_that_cannot_be_removed_is_a_warning(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	sysroot_mkdir(*state, PATHS_TOKEN_BACKUP "/former.tok");
	sysroot_write(*state, PATHS_TOKEN_BACKUP "/former.tok/theirs", "");
	assert_int_equal(license(&scene), 0);

	assert_non_null(strstr(scene.outcome.warning, "former.tok"));
	assert_string_equal(scene.outcome.detail, "NVIDIA L40S-2Q: " LICENSED);
}

static void what_the_driver_said_holds_until_the_daemon_is_restarted(void **state)
{
	for (int restarted = 0; restarted < 2; restarted++) {
		cleanup(scene_done) struct scene scene = { 0 };

		prepare(*state, &scene, LICENSED);
		assert_int_equal(
			smi_parse((struct span){ scene.said, strlen(scene.said) },
				  &scene.lease.report, &scene.err),
			0);
		scene.lease.restarted = restarted == 1;
		assert_int_equal(license(&scene), 0);

		assert_int_equal(script_count(&scene.script, "nvidia-smi"), restarted);
		assert_string_equal(scene.outcome.detail, "NVIDIA L40S-2Q: " LICENSED);
	}
}

static void a_gpu_that_is_passed_through_waits_for_nothing(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, NULL);
	scene.said = smi_report_sample("580-passthrough.txt");
	scene.answers[0] =
		(struct script_answer){ .match = "nvidia-smi -q", .output = scene.said };
	scene.guest.gpus.gpus[0].kind = GPU_PASSTHROUGH;
	scene.stage.ctx.settings.license.feature_type = 1;
	sysroot_write(*state, KEPT, OLD);
	assert_int_equal(license(&scene), 0);

	assert_true(is_there(*state, KEPT));
	assert_string_equal(scene.outcome.detail, "no GPU here needs a license");
}

static void a_wait_in_vain_ends_with_the_reason(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, UNLICENSED);
	assert_int_equal(license(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_UNLICENSED);
	assert_non_null(
		strstr(scene.err.text, "is not licensed after 0 s: " UNLICENSED ": "));
	assert_non_null(strstr(scene.err.text, "token"));
	assert_true(scene.err.hint[0] != '\0');
	assert_int_equal(scene.lease.report.count, 1);
}

/* The token is good, the daemon runs and says nothing. */
static void where_nothing_explains_it_the_journal_is_named(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, UNLICENSED);
	sysroot_write(*state, PATHS_TOKEN, OLD);
	sysroot_write(*state, PATHS_GRIDD_CONF, "FeatureType=1\n");
	scene.fake.started = UINT64_C(9000000000000000);
	assert_int_equal(license(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_UNLICENSED);
	assert_string_equal(scene.err.hint, "nvidia-gridd gives no reason: journalctl -u "
					    "nvidia-gridd.service");
}

static void a_driver_that_does_not_answer_is_not_explained(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, LICENSED);
	root_discard(&((const struct sysroot *)*state)->root, PATHS_SMI);
	assert_int_equal(license(&scene), -1);

	assert_int_equal(scene.err.code, ERROR_DRIVER);
	assert_string_equal(scene.err.text, "nvidia-smi is not there");
	assert_string_equal(scene.fake.calls, "");
}

static void a_token_that_does_not_license_is_taken_back(void **state)
{
	cleanup(scene_done) struct scene scene = { 0 };

	prepare(*state, &scene, UNLICENSED);
	sysroot_write(*state, PATHS_TOKEN, NEW);
	sysroot_write(*state, KEPT, OLD);
	assert_int_equal(license(&scene), -1);

	sysroot_assert_text(*state, PATHS_TOKEN, OLD);
	sysroot_assert_text(*state, REJECTED, NEW);
	assert_non_null(strstr(scene.fake.calls, "RestartUnit"));
	assert_non_null(strstr(scene.err.text, "the new token did not license"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(gridd_conf_is_changed_once),
		TEST(a_gridd_conf_that_cannot_be_written_is_an_error),
		TEST(without_a_token_only_who_needs_one_fails),
		TEST(a_token_is_installed_once_with_its_source),
		TEST(an_installed_token_keeps_its_name),
		TEST(a_damaged_token_leaves_the_installed_one),
		TEST(what_failed_before_does_not_replace_what_licenses),
		TEST(a_token_that_licenses_is_kept_while_another_is_tried),
		TEST(the_daemon_is_left_alone_where_it_is_not_needed_or_not_there),
		TEST(a_run_without_a_daemon_fails),
		TEST(the_daemon_is_started_again_for_any_one_reason),
		TEST(what_the_daemon_reads_is_labelled_before_it_starts),
		TEST(whatever_the_daemon_reads_must_be_older_than_it),
		TEST(a_daemon_that_does_not_start_is_explained),
		TEST(a_license_is_told_in_the_driver_s_words_and_ends_the_trial),
		TEST(an_older_token_that_cannot_be_removed_is_a_warning),
		TEST(what_the_driver_said_holds_until_the_daemon_is_restarted),
		TEST(a_gpu_that_is_passed_through_waits_for_nothing),
		TEST(a_wait_in_vain_ends_with_the_reason),
		TEST(where_nothing_explains_it_the_journal_is_named),
		TEST(a_driver_that_does_not_answer_is_not_explained),
		TEST(a_token_that_does_not_license_is_taken_back),
	};

	return cmocka_run_group_tests_name("licensing", tests, NULL, NULL);
}
