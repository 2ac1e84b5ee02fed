/* wrap: gridd_stop */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>

#include "base/text.h"
#include "steps/license/gridd.h"
#include "steps/sealed.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"
#include "support/script.h"

#define CLOUD_COPY "/var/lib/cloud/instance/obj.pkl"

/* Long enough to be found again by a piece of it. */
static const char token[] =
	"eyJhbGciOiJSUzI1NiIsImtpZCI6IjEyMzQ1Njc4OTAifQ.eyJpc3MiOiJOTFMgU2VydmljZSBJbnN0"
	"YW5jZSIsImF1ZCI6Ik5MUyBMaWNlbnNlZCBDbGllbnQifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";

static const struct request request;
static struct script script;

/* The daemon of the guest, instead of this machine's. */
static struct {
	int stops;
	bool fails;
} daemon_of_guest;

int __wrap_gridd_stop(struct runner *runner, const struct root *root, bool *ret_changed,
		      struct error *err);
int __wrap_gridd_stop(struct runner *runner, const struct root *root, bool *ret_changed,
		      struct error *err)
{
	(void)runner;
	(void)root;
	*ret_changed = daemon_of_guest.stops++ == 0;
	return daemon_of_guest.fails ? error_set(err, ERROR_INTERNAL, "no bus") : 0;
}

static const char *const secrets[] = {
	PATHS_TOKEN,
	PATHS_TOKEN_BACKUP "/former.tok",
	PATHS_TRUSTED_STORE "/store",
	PATHS_CACHE "/download.run",
	PATHS_LOGS "/run.log",
	"/var/log/nvidia-installer.log",
	PATHS_METADATA,
};

static void put(const struct sysroot *sysroot, const char *path, const char *text)
{
	struct error err = ERROR_INIT;
	char folder[256];

	(void)text_copy(folder, sizeof(folder), path);
	*strrchr(folder, '/') = '\0';
	assert_int_equal(root_mkdir(&sysroot->root, folder, 0755, &err), 0);
	sysroot_write(sysroot, path, text);
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

/* Of a step that changed something. */
static struct json *record(void)
{
	return json_build("{s:s, s:s, s:f, s:f, s:s}", "outcome", "changed", "detail", "",
			  "began", 0.0, "seconds", 0.0, "time", "2026-01-01T00:00:00Z");
}

static struct agent *again(const struct sysroot *sysroot)
{
	static const struct script_answer none[] = { { .match = NULL } };
	struct agent *agent = agent_stage(sysroot, &request.options);

	script_init(&script, none, NULL);
	agent->context.runner = &script.runner;
	return agent;
}

/* A guest that is licensed, with a driver of ours. */
static struct agent *begin(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;
	struct agent *agent;

	sysroot_empty(sysroot);
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		put(sysroot, secrets[i], i < 2 ? token : "of this guest");
	put(sysroot, PATHS_GRIDD_CONF, "FeatureType=1\n");
	put(sysroot, PATHS_CONFIG, "");
	agent = again(sysroot);
	(void)strcpy(agent->state.driver.version, "550.90.07");
	agent->state.driver.kind = PACKAGE_RUN;
	(void)strcpy(agent->state.driver.path, PATHS_BACKUP "/driver.run");
	put(sysroot, agent->state.driver.path, "a driver");
	json_free(agent->state.steps);
	agent->state.steps =
		json_build("{s:o, s:o}", "configure", record(), "token", record());
	assert_int_equal(state_save(&sysroot->root, &agent->state, &err), 0);
	daemon_of_guest.stops = 0;
	daemon_of_guest.fails = false;
	return agent;
}

static void assert_nothing_is_removed(const struct sysroot *sysroot)
{
	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++)
		assert_true(is_there(sysroot, secrets[i]));
}

static void assert_step(const struct json *report, size_t place, const char *name,
			const char *outcome, const char *detail)
{
	const struct json *step = json_at(json_get(report, "steps"), place);

	assert_string_equal(json_get_string(step, "step"), name);
	assert_string_equal(json_get_string(step, "outcome"), outcome);
	assert_string_equal(json_get_string(step, "detail"), detail);
}

static void what_is_of_this_guest_goes(void **state)
{
	static const char *const stays[] = { PATHS_GRIDD_CONF, PATHS_CONFIG,
					     PATHS_STATE_FILE, PATHS_TOKENS,
					     PATHS_CACHE };
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	if (command_seal(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	for (size_t i = 0; i < ARRAY_SIZE(secrets); i++) {
		if (is_there(*state, secrets[i]))
			fail_msg("%s is still there", secrets[i]);
	}
	for (size_t i = 0; i < ARRAY_SIZE(stays); i++)
		assert_true(is_there(*state, stays[i]));
	assert_true(sealed_is(&agent->context.root));
	assert_step(report, 0, "search", "unchanged", "no copy of a token anywhere else");
	assert_step(report, 1, "swap", "unchanged", "none is active");
	assert_step(report, 2, "stop", "unchanged", "no unit of ours is active");
	assert_step(report, 3, "gridd", "changed", "stopped, its license is returned");
	assert_step(report, 4, "token", "changed", "removed");
	assert_step(report, 5, "trusted_store", "changed",
		    PATHS_TRUSTED_STORE " emptied");
	assert_step(report, 6, "state", "changed", "reduced to what uninstall needs");
	assert_step(report, 7, "cache", "changed", PATHS_CACHE " emptied");
	assert_step(report, 8, "logs", "changed", "removed");
	agent_stage_end(agent);
}

/* Of the record only what uninstall goes by: the driver, and that gridd.conf is ours. */
static void the_state_keeps_what_uninstall_needs(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct state kept;

	if (command_seal(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);
	agent_stage_end(agent);

	assert_int_equal(state_load(&agent->context.root, &kept, &err), 0);
	assert_string_equal(kept.driver.version, "550.90.07");
	assert_string_equal(kept.driver.path, "");
	assert_non_null(json_get(kept.steps, "configure"));
	assert_null(json_get(kept.steps, "token"));
	assert_false(is_there(*state, PATHS_BACKUP "/driver.run"));
	state_done(&kept);
}

static void a_second_time_nothing_changes(void **state)
{
	static const char *const details[] = {
		"no copy of a token anywhere else",
		"none is active",
		"no unit of ours is active",
		"not active",
		"none here",
		"empty",
		"only what uninstall needs",
		"empty",
		"none here",
	};
	struct agent *agent = begin(*state);
	cleanup_json struct json *first = NULL, *second = NULL;
	struct error err = ERROR_INIT;

	if (command_seal(agent, &request, &first, &err) < 0)
		fail_msg("%s", err.text);
	agent_stage_end(agent);
	agent = again(*state);
	if (command_seal(agent, &request, &second, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(json_count(json_get(second, "steps")), ARRAY_SIZE(details));
	for (size_t i = 0; i < ARRAY_SIZE(details); i++) {
		const struct json *step = json_at(json_get(second, "steps"), i);

		assert_string_equal(json_get_string(step, "outcome"), "unchanged");
		assert_string_equal(json_get_string(step, "detail"), details[i]);
	}
	agent_stage_end(agent);
}

static void where_there_never_was_anything_there_is_nothing_to_do(void **state)
{
	struct agent *agent = again(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	daemon_of_guest.fails = false;
	if (command_seal(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_step(report, 6, "state", "unchanged", "none here");
	assert_step(report, 8, "logs", "unchanged", "none here");
	agent_stage_end(agent);
}

/* Looked for before the first file goes: a refusal costs nothing. */
static void a_copy_elsewhere_refuses_it_all(void **state)
{
	static const struct {
		const char *first, *second, *words;
	} rows[] = {
		{ "/root/client.tok", NULL, "also in /root/client.tok; nothing was" },
		{ "/root/a", "/srv/b", "/srv/b; nothing was removed" },
		{ CLOUD_COPY, "/opt/x", "also in /opt/x; nothing was removed" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		put(*state, rows[i].first, token);
		if (rows[i].second)
			put(*state, rows[i].second, token);
		assert_int_equal(command_seal(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, ERROR_PERMISSION);
		if (!strstr(err.text, rows[i].words))
			fail_msg("%s", err.text);
		assert_nothing_is_removed(*state);
		assert_false(sealed_is(&agent->context.root));
		assert_int_equal(json_count(json_get(report, "places")),
				 rows[i].second ? 2 : 1);
		assert_true(is_there(*state, rows[i].first));
		assert_int_equal(daemon_of_guest.stops, 0);
		agent_stage_end(agent);
	}
}

/* cloud-init writes its copy anew for each instance: it is no reason to refuse. */
static void clouds_own_copy_is_removed(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	put(*state, CLOUD_COPY, token);
	if (command_seal(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_false(is_there(*state, CLOUD_COPY));
	assert_step(report, 0, "search", "changed",
		    "cloud-init's copy of the metadata removed");
	agent_stage_end(agent);
}

static void a_guest_that_is_half_done_is_not_sealed(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	(void)strcpy(agent->state.installing.version, "550.127.05");
	assert_int_equal(command_seal(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, "driver 550.127.05 was cut off"));
	assert_nothing_is_removed(*state);
	agent_stage_end(agent);
}

static void a_daemon_that_cannot_be_stopped_ends_it(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	daemon_of_guest.fails = true;
	assert_int_equal(command_seal(agent, &request, &report, &err), -1);

	assert_string_equal(err.text, "no bus");
	assert_step(report, 3, "gridd", "failed", "no bus");
	assert_nothing_is_removed(*state);
	agent_stage_end(agent);
}

static void active_swap_is_told(void **state)
{
	static const struct {
		const char *swaps, *detail;
	} rows[] = {
		{ "Filename\t\t\t\tType\n", "none is active" },
		{ "Filename Type\n/dev/vda2 partition 1 0 -2\n", "/dev/vda2 is active" },
		{ "Filename Type\n/swapfile  file\n/dev/dm-1 partition\n",
		  "/swapfile is active" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		put(*state, "/proc/swaps", rows[i].swaps);
		if (command_seal(agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);
		assert_step(report, 1, "swap", "unchanged", rows[i].detail);
		agent_stage_end(agent);
	}
}

/* The operator's token file is part of the image, unless only the command line has it. */
static void a_token_file_of_the_configuration_goes(void **state)
{
	static const struct {
		enum settings_layer layer;
		bool goes;
	} rows[] = { { SETTINGS_FILE, true }, { SETTINGS_COMMAND, false } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		struct settings *settings = &agent->context.settings;
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		static const char text[] = "license: { token_file = \"/mnt/own.tok\"; };";

		put(*state, "/mnt/own.tok", "a token of another guest, long enough");
		if (rows[i].layer == SETTINGS_FILE)
			assert_int_equal(settings_read(settings, text, sizeof(text) - 1,
						       "agent.conf", SETTINGS_FILE, &err),
					 0);
		else
			assert_int_equal(settings_set(settings,
						      "license.token_file=/mnt/own.tok",
						      &err),
					 0);
		if (command_seal(agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(is_there(*state, "/mnt/own.tok"), !rows[i].goes);
		agent_stage_end(agent);
	}
}

static void by_a_lost_state_nothing_is_removed(void **state)
{
	struct agent *agent = begin(*state);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->state.lost = true;
	assert_int_equal(command_seal(agent, &request, &report, &err), -1);

	assert_null(report);
	assert_nothing_is_removed(*state);
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_of_this_guest_goes),
		TEST(the_state_keeps_what_uninstall_needs),
		TEST(a_second_time_nothing_changes),
		TEST(where_there_never_was_anything_there_is_nothing_to_do),
		TEST(a_copy_elsewhere_refuses_it_all),
		TEST(clouds_own_copy_is_removed),
		TEST(a_guest_that_is_half_done_is_not_sealed),
		TEST(a_daemon_that_cannot_be_stopped_ends_it),
		TEST(active_swap_is_told),
		TEST(a_token_file_of_the_configuration_goes),
		TEST(by_a_lost_state_nothing_is_removed),
	};

	return cmocka_run_group_tests_name("command_seal", tests, NULL, NULL);
}
