/* wrap: gridd_look gridd_restart gridd_is_active */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/run.h"

#include <fcntl.h>
#include <string.h>

#include "base/text.h"
#include "commands/commands.h"
#include "steps/license/gridd.h"
#include "steps/license/token.h"
#include "steps/sealed.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define PACKAGE_PATH PATHS_BACKUP "/driver-" MACHINE_NEW ".run"

/* The daemon of the guest, instead of this machine's. */
static struct {
	int restarts;
	bool missing;
} daemon_of_guest;

int __wrap_gridd_look(struct gridd_state *ret_state, struct error *err);
int __wrap_gridd_look(struct gridd_state *ret_state, struct error *err)
{
	(void)err;
	*ret_state = (struct gridd_state){ .exists = !daemon_of_guest.missing };
	return 0;
}

int __wrap_gridd_restart(bool reload, unsigned timeout_s, int cancel_fd,
			 struct error *err);
int __wrap_gridd_restart(bool reload, unsigned timeout_s, int cancel_fd,
			 struct error *err)
{
	(void)reload;
	(void)timeout_s;
	(void)cancel_fd;
	(void)err;
	daemon_of_guest.restarts++;
	return 0;
}

bool __wrap_gridd_is_active(const char *unit);
bool __wrap_gridd_is_active(const char *unit)
{
	(void)unit;
	return true;
}

static struct machine machine;
static struct request request;

/* A run was cut off while it installed this driver: no repository is needed. */
static struct agent *begin(const struct sysroot *sysroot)
{
	struct agent *agent;

	sysroot_empty(sysroot);
	request = (struct request){ .json = false };
	daemon_of_guest.restarts = 0;
	daemon_of_guest.missing = false;
	agent = agent_stage_guest(sysroot, &request.options, &machine);
	sysroot_mkdir(sysroot, PATHS_BACKUP);
	machine_add_package(&machine, PACKAGE_PATH, MACHINE_NEW);
	machine.licensed = true;
	agent->context.settings.license.wait = 0;
	agent->state.installing = (struct driver){ .kind = PACKAGE_RUN };
	(void)strcpy(agent->state.installing.version, MACHINE_NEW);
	(void)strcpy(agent->state.installing.path, PACKAGE_PATH);
	return agent;
}

/* "detect:unchanged metadata:skipped ...", of the report. */
static const char *steps_of(const struct json *report)
{
	static char text[512];
	const struct json *steps = json_get(report, "steps");
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < json_count(steps); i++) {
		const struct json *step = json_at(steps, i);

		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s:%s",
					 used ? " " : "", json_get_string(step, "step"),
					 json_get_string(step, "outcome"));
		assert_true(used < sizeof(text));
	}
	return text;
}

static const char *detail_of(const struct json *report, const char *step)
{
	const struct json *steps = json_get(report, "steps");

	for (size_t i = 0; i < json_count(steps); i++) {
		if (strcmp(json_get_string(json_at(steps, i), "step"), step) == 0)
			return json_get_string(json_at(steps, i), "detail");
	}
	return "";
}

static void a_run_brings_the_driver_and_the_license(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct stat st;

	if (command_run(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(machine_user_space(&machine), MACHINE_NEW);
	assert_string_equal(machine_loaded(&machine), MACHINE_NEW);
	assert_string_equal(
		steps_of(report),
		"detect:unchanged metadata:skipped match:unchanged fetch:skipped "
		"unpack:changed build:changed install:changed configure:changed "
		"token:skipped gridd:skipped license:unchanged");
	assert_string_equal(detail_of(report, "match"),
			    "finishing the installation of " MACHINE_NEW
			    " that was cut off");
	assert_string_equal(detail_of(report, "gridd"), "no GPU here needs a license");
	assert_true(root_stat(&agent->context.root, PATHS_LICENSED, &st));
	assert_true(root_stat(&agent->context.root, PATHS_LAST_RUN, &st));
	agent_stage_end(agent);
}

static void a_second_run_changes_nothing(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *first = NULL, *second = NULL;
	struct error err = ERROR_INIT;

	if (command_run(agent, &request, &first, &err) < 0)
		fail_msg("%s", err.text);
	agent_stage_end(agent);
	agent = agent_stage_again(*state, &request.options, &machine);
	if (command_run(agent, &request, &second, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(
		steps_of(second),
		"detect:unchanged metadata:skipped match:unchanged fetch:skipped "
		"unpack:skipped build:unchanged install:unchanged configure:unchanged "
		"token:skipped gridd:skipped license:unchanged");
	assert_string_equal(detail_of(second, "match"),
			    "driver " MACHINE_NEW " is installed");
	assert_string_equal(detail_of(second, "build"),
			    "the modules of " MACHINE_NEW " are there");
	agent_stage_end(agent);
}

/* Each job has its own steps of the one list, and none of another's. */
static void each_job_has_its_steps(void **state)
{
	static const struct {
		int (*run)(struct agent *agent, const struct request *request,
			   struct json **ret_report, struct error *err);
		const char *steps;
	} rows[] = {
		{ command_run_install,
		  "detect:unchanged metadata:skipped match:unchanged fetch:skipped "
		  "unpack:changed build:changed install:changed" },
		{ command_run_configure,
		  "detect:unchanged metadata:skipped configure:changed token:skipped "
		  "gridd:skipped" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		if (rows[i].run(agent, &request, &report, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		assert_string_equal(steps_of(report), rows[i].steps);
		agent_stage_end(agent);
	}
}

/* A guest whose driver has replaced another one, which is kept. */
static struct agent *begin_updated(const struct sysroot *sysroot)
{
	struct agent *agent = begin(sysroot);

	agent->state.installing = DRIVER_NONE;
	agent->state.driver = (struct driver){ .kind = PACKAGE_RUN,
					       .version = MACHINE_NEW,
					       .path = PACKAGE_PATH };
	agent->state.previous =
		(struct driver){ .kind = PACKAGE_RUN,
				 .version = MACHINE_OLD,
				 .path = PATHS_BACKUP "/driver-" MACHINE_OLD ".run" };
	machine_add_package(&machine, agent->state.previous.path, MACHINE_OLD);
	return agent;
}

static void install_previous_puts_the_driver_before_back(void **state)
{
	struct agent *agent = begin_updated(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	request.options.previous = true;
	agent->context.settings.driver.upgrade = true;
	if (command_run_install(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(machine_loaded(&machine), MACHINE_OLD);
	assert_string_equal(
		steps_of(report),
		"detect:unchanged metadata:skipped match:unchanged fetch:skipped "
		"unpack:changed build:changed install:changed");
	assert_string_equal(detail_of(report, "match"),
			    "putting " MACHINE_OLD
			    " back, the driver before " MACHINE_NEW);
	assert_string_equal(agent->state.previous.version, MACHINE_NEW);
	agent_stage_end(agent);
}

static void previous_and_a_named_driver_contradict_each_other(void **state)
{
	for (unsigned named = 0; named < 3; named++) {
		struct agent *agent = begin_updated(*state);
		struct settings *settings = &agent->context.settings;
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		request.options.previous = true;
		settings->driver_layer = SETTINGS_COMMAND;
		(void)strcpy(named == 0 ? settings->driver.url : settings->driver.version,
			     named == 0   ? "file:///srv/x.run"
			     : named == 1 ? MACHINE_NEW
					  : "");
		(void)strcpy(settings->driver.repository, "https://x.example/");
		assert_int_equal(command_run_install(agent, &request, &report, &err),
				 named < 2 ? -1 : 0);
		if (named < 2) {
			assert_int_equal(err.code, ERROR_USAGE);
			assert_true(err.hint[0]);
			assert_int_equal(machine.count, 0);
		}
		agent_stage_end(agent);
	}
}

static void what_a_new_token_asks_for_is_no_driver(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	request.token_only = true;
	assert_int_equal(command_run(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_string_equal(agent->tools.step, "license");
	assert_string_equal(machine_user_space(&machine), "");
	agent_stage_end(agent);
}

/* What a unit or a hook calls does nothing; what somebody calls ends the seal. */
static void of_a_sealed_guest_a_unit_makes_nothing(void **state)
{
	static int (*const commands[])(
		struct agent *, const struct request *, struct json **,
		struct error *) = { command_run, command_run_install };

	for (size_t i = 0; i < ARRAY_SIZE(commands); i++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		sysroot_write(*state, PATHS_SEALED, "");
		request.options.unattended = true;
		if (commands[i](agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(steps_of(report), "");
		assert_string_equal(machine_user_space(&machine), "");
		assert_true(sealed_is(&agent->context.root));
		agent_stage_end(agent);
	}
}

static void a_run_by_hand_ends_the_seal(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_write(*state, PATHS_SEALED, "");
	sysroot_write(*state, PATHS_TOKEN_BY_HAND, "");
	request.token_only = true;
	assert_int_equal(command_run(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_false(sealed_is(&agent->context.root));
	assert_false(token_is_by_hand(&agent->context.root));
	agent_stage_end(agent);
}

/* An installed token is not asked of the metadata; the daemon starts with it. */
static void a_token_install_has_only_its_two_steps(void **state)
{
	static const struct agent_stage_answer answers[] = {
		{ "token",
		  "echo '{\"result\":{\"valid\":true,\"problems\":[],\"expires\":null}}' "
		  ">&3" },
		{ NULL, NULL },
	};
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->context.settings.license.feature_type = 2;
	sysroot_write(*state, "/new.tok", "eyJ.new");
	agent_stage_worker(agent, *state, answers);
	agent->lease.token_fd =
		root_open_at(&agent->context.root, "/new.tok", O_RDONLY, 0, &err);
	agent->lease.token_path = "new.tok";
	if (command_run_token(agent, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(steps_of(report), "token:changed gridd:changed");
	sysroot_assert_text(*state, PATHS_TOKEN, "eyJ.new");
	assert_true(token_is_by_hand(&agent->context.root));
	assert_int_equal(daemon_of_guest.restarts, 1);
	agent_stage_end(agent);
}

static void in_an_image_the_steps_of_a_running_guest_are_skipped(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct stat st;

	agent->context.offline = true;
	if (command_run(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(
		steps_of(report),
		"detect:unchanged metadata:skipped match:unchanged fetch:skipped "
		"unpack:changed build:changed install:changed configure:changed "
		"token:skipped gridd:skipped license:skipped");
	assert_string_equal(machine_loaded(&machine), "");
	assert_false(root_stat(&agent->context.root, PATHS_LICENSED, &st));
	assert_false(root_stat(&agent->context.root, PATHS_LAST_RUN, &st));
	agent_stage_end(agent);
}

/* The step that fails ends the run, is named, and is on record for `status`. */
static void a_run_that_fails_tells_in_which_step(void **state)
{
	static const struct {
		const char *step, *missing;
		enum error_code code;
	} rows[] = {
		{ "detect", "/bus/pci/devices/0000:06:00.0", ERROR_NO_GPU },
		{ "match", PACKAGE_PATH, ERROR_PERMISSION },
		{ "build", "/usr/bin/make", ERROR_PREREQUISITES },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		(void)strcpy(agent->context.settings.driver.prerequisites, "require");
		assert_int_equal(
			root_remove_tree(&agent->context.root, rows[i].missing, &err), 0);
		assert_int_equal(command_run(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, rows[i].code);
		assert_string_equal(agent->tools.step, rows[i].step);
		assert_true(text_ends(steps_of(report), ":failed"));
		assert_string_equal(json_get_string(agent->state.trouble, "step"),
				    rows[i].step);
		assert_string_equal(json_get_string(agent->state.trouble, "message"),
				    err.text);
		agent_stage_end(agent);
	}
}

/*
 * A driver that was left to finish is not tried for ever where its package is bad or its
 * modules do not compile. What this guest lacks says nothing of the driver.
 */
static void what_cannot_be_built_is_abandoned(void **state)
{
	unsigned abandoned = 0, kept = 0;

	for (unsigned number = 1; number < 20 && abandoned < 2; number++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		bool of_guest;

		machine.fail_at = number;
		if (command_run(agent, &request, &report, &err) < 0 &&
		    (strcmp(agent->tools.step, "unpack") == 0 ||
		     strcmp(agent->tools.step, "build") == 0)) {
			of_guest = err.code == ERROR_INTERNAL ||
				   err.code == ERROR_PREREQUISITES;
			assert_int_equal(agent->state.installing_failed, !of_guest);
			abandoned += !of_guest;
			kept += of_guest;
		}
		agent_stage_end(agent);
	}
	assert_true(abandoned == 2 && kept > 0);
}

/* Trouble in a step that this job has not done stays on record. */
static void a_rotation_that_ends_well_says_nothing_of_the_driver(void **state)
{
	static const struct {
		const char *step;
		bool stays;
	} rows[] = { { "match", true }, { "token", false }, { "of old", false } };
	struct agent *agent = begin(*state);
	cleanup_json struct json *first = NULL;
	struct error err = ERROR_INIT;

	if (command_run(agent, &request, &first, &err) < 0)
		fail_msg("%s", err.text);
	request.token_only = true;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *report = NULL;
		const char *step;

		json_free(agent->state.trouble);
		agent->state.trouble = json_build("{s:s, s:s, s:n, s:[]}", "step",
						  rows[i].step, "message", "no", "hint",
						  "warnings");
		if (command_run(agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(
			steps_of(report),
			"detect:unchanged metadata:skipped configure:unchanged "
			"token:skipped gridd:skipped license:unchanged");
		step = json_get_string(agent->state.trouble, "step");
		assert_int_equal(step != NULL, rows[i].stays);
	}
	agent_stage_end(agent);
}

#define METADATA(object, warnings)                                                \
	"echo '{\"result\":{\"found\":true,\"object\":" object ",\"token\":null," \
	"\"token_source\":null,\"token_check\":null,\"sources\":[\"service\"],"   \
	"\"service\":\"answered\",\"warnings\":[" warnings "],\"silent\":false,"  \
	"\"service_object\":{},\"service_token_sha256\":null}}' >&3"

static void what_the_metadata_say_becomes_a_setting(void **state)
{
	static const struct agent_stage_answer answers[] = {
		{ "metadata",
		  METADATA("{\"driver\":{\"version\":\"550.1\"}}", "\"odd\"") },
		{ NULL, NULL },
	};
	struct agent *agent = begin(*state);
	struct outcome outcome = { .step = "metadata" };
	struct error err = ERROR_INIT;

	agent->context.base.metadata.enabled = true;
	agent->context.settings.metadata.enabled = true;
	agent_stage_worker(agent, *state, answers);
	agent->context.job = JOB_RUN;
	if (command_run_metadata(agent, &outcome, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(agent->context.settings.driver.version, "550.1");
	assert_string_equal(outcome.detail, "service");
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_run_brings_the_driver_and_the_license),
		TEST(a_second_run_changes_nothing),
		TEST(each_job_has_its_steps),
		TEST(install_previous_puts_the_driver_before_back),
		TEST(previous_and_a_named_driver_contradict_each_other),
		TEST(what_a_new_token_asks_for_is_no_driver),
		TEST(of_a_sealed_guest_a_unit_makes_nothing),
		TEST(a_run_by_hand_ends_the_seal),
		TEST(a_token_install_has_only_its_two_steps),
		TEST(in_an_image_the_steps_of_a_running_guest_are_skipped),
		TEST(a_run_that_fails_tells_in_which_step),
		TEST(what_cannot_be_built_is_abandoned),
		TEST(a_rotation_that_ends_well_says_nothing_of_the_driver),
		TEST(what_the_metadata_say_becomes_a_setting),
	};

	return cmocka_run_group_tests_name("command_run", tests, NULL, NULL);
}
