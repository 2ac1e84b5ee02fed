/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/gridd.h"

#include <string.h>
#include <unistd.h>

#include "support/cmocka.h"
#include "support/fake_systemd.h"

static int look(struct fake_systemd *fake, struct gridd_state *state, struct error *err)
{
	int result;

	fake_systemd_start(fake);
	result = gridd_look(state, err);
	fake_systemd_stop(fake);
	return result;
}

static int restart(struct fake_systemd *fake, bool reload, int cancel_fd,
		   struct error *err)
{
	int result;

	fake_systemd_start(fake);
	result = gridd_restart(reload, 20, cancel_fd, err);
	fake_systemd_stop(fake);
	return result;
}

static const struct {
	const char *load, *file, *active, *sub;
	struct gridd_state expected;
} states[] = {
	{ "loaded",
	  "enabled",
	  "active",
	  "running",
	  { .exists = true,
	    .enabled = true,
	    .active = true,
	    .started = 5,
	    .detail = "active (running)" } },
	{ "loaded",
	  "disabled",
	  "inactive",
	  "dead",
	  { .exists = true, .started = 5, .detail = "inactive (dead)" } },
	{ "loaded",
	  "static",
	  "activating",
	  "start",
	  { .exists = true,
	    .enabled = true,
	    .active = true,
	    .started = 5,
	    .detail = "activating (start)" } },
	{ "loaded",
	  "enabled",
	  "failed",
	  "failed",
	  { .exists = true,
	    .enabled = true,
	    .failed = true,
	    .started = 5,
	    .detail = "failed (failed)" } },
	{ "not-found", "", "inactive", "dead", { .started = 5, .detail = "not-found" } },
	{ "masked",
	  "masked",
	  "inactive",
	  "dead",
	  { .exists = true, .masked = true, .started = 5, .detail = "masked" } },
};

static void look_tells_the_state_of_the_unit(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(states); i++) {
		const struct gridd_state *expected = &states[i].expected;
		struct fake_systemd fake = FAKE_SYSTEMD_INIT;
		struct gridd_state actual;
		struct error err = ERROR_INIT;

		print_message("case: %s\n", expected->detail);
		fake.load = states[i].load;
		fake.file = states[i].file;
		fake.active = states[i].active;
		fake.sub = states[i].sub;
		fake.started = 5;
		assert_int_equal(look(&fake, &actual, &err), 0);
		assert_int_equal(actual.exists, expected->exists);
		assert_int_equal(actual.masked, expected->masked);
		assert_int_equal(actual.enabled, expected->enabled);
		assert_int_equal(actual.active, expected->active);
		assert_int_equal(actual.failed, expected->failed);
		assert_int_equal(actual.started, expected->started);
		assert_string_equal(actual.detail, expected->detail);
	}
}

static bool is_active(struct fake_systemd *fake)
{
	bool result;

	fake_systemd_start(fake);
	result = gridd_is_active("vgpu-licensed.target");
	fake_systemd_stop(fake);
	return result;
}

static void only_a_loaded_unit_that_is_active_is_active(void **state)
{
	struct fake_systemd active = FAKE_SYSTEMD_INIT, inactive = FAKE_SYSTEMD_INIT,
			    unknown = FAKE_SYSTEMD_INIT;

	(void)state;
	inactive.active = "inactive";
	unknown.refuse = "GetUnit";
	unknown.refuse_error = "org.freedesktop.systemd1.NoSuchUnit";

	assert_true(is_active(&active));
	assert_string_equal(active.calls, "GetUnit");
	assert_false(is_active(&inactive));
	assert_false(is_active(&unknown));
}

static void without_a_bus_the_error_says_so(void **state)
{
	struct gridd_state actual;
	struct error err = ERROR_INIT;

	(void)state;
	if (access("/run/systemd/private", F_OK) == 0)
		skip();
	assert_int_equal(setenv("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/none/bus", 1), 0);

	assert_int_equal(gridd_look(&actual, &err), -1);
	assert_false(gridd_is_active("vgpu-licensed.target"));
	assert_int_equal(strncmp(err.text, "connecting to the system bus: ", 30), 0);
	assert_true(err.hint[0]);
}

static void restart_waits_for_the_end_of_its_job(void **state)
{
	(void)state;

	for (int before = 0; before <= 1; before++) {
		struct fake_systemd fake = FAKE_SYSTEMD_INIT;
		struct error err = ERROR_INIT;

		fake.ends_before_answer = before;
		assert_int_equal(restart(&fake, false, -1, &err), 0);
		assert_string_equal(fake.calls,
				    "LoadUnit Subscribe ResetFailedUnit RestartUnit");
	}
}

static void a_disabled_unit_is_enabled_and_files_are_read_again(void **state)
{
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	fake.file = "disabled";

	assert_int_equal(restart(&fake, true, -1, &err), 0);

	assert_string_equal(fake.calls,
			    "Reload LoadUnit EnableUnitFiles Reload Subscribe "
			    "ResetFailedUnit RestartUnit");
}

static void a_missing_unit_is_an_error_of_the_installation(void **state)
{
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	fake.load = "not-found";

	assert_int_equal(restart(&fake, false, -1, &err), -1);

	assert_int_equal(err.code, ERROR_INSTALL);
	assert_string_equal(err.text, "nvidia-gridd.service is not there");
	assert_string_equal(fake.calls, "LoadUnit");
}

static const struct {
	const char *refuse, *name;
	enum error_code code;
	const char *text;
} refusals[] = {
	{ "LoadUnit", "org.freedesktop.DBus.Error.AccessDenied", ERROR_PERMISSION,
	  "asking systemd for nvidia-gridd.service: refused?for a test" },
	{ "RestartUnit", "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired",
	  ERROR_PERMISSION, "restarting nvidia-gridd.service: refused?for a test" },
	{ "RestartUnit", "org.freedesktop.systemd1.NoSuchUnit", ERROR_INSTALL,
	  "nvidia-gridd.service is not there" },
	{ "Reload", "org.freedesktop.systemd1.Odd", ERROR_INTERNAL,
	  "making systemd read its units again: refused?for a test" },
	{ "Subscribe", "org.freedesktop.systemd1.Odd", ERROR_INTERNAL,
	  "listening to systemd: refused?for a test" },
};

static void a_refusal_is_told_in_systemds_words(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(refusals); i++) {
		struct fake_systemd fake = FAKE_SYSTEMD_INIT;
		struct error err = ERROR_INIT;

		fake.refuse = refusals[i].refuse;
		fake.refuse_error = refusals[i].name;
		assert_int_equal(restart(&fake, true, -1, &err), -1);
		assert_int_equal(err.code, refusals[i].code);
		assert_string_equal(err.text, refusals[i].text);
	}
}

static void a_job_that_fails_is_told_with_the_services_result(void **state)
{
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	fake.job = "failed";
	fake.result = "exit-code";

	assert_int_equal(restart(&fake, false, -1, &err), -1);

	assert_int_equal(err.code, ERROR_UNLICENSED);
	assert_string_equal(err.text,
			    "nvidia-gridd.service did not start: failed (exit-code)");
	assert_true(err.hint[0]);
}

static void a_job_that_never_ends_has_a_deadline(void **state)
{
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;
	struct error err = ERROR_INIT;
	int result;

	(void)state;
	fake.job = NULL;

	fake_systemd_start(&fake);
	result = gridd_restart(false, 0, -1, &err);
	fake_systemd_stop(&fake);

	assert_int_equal(result, -1);
	assert_int_equal(err.code, ERROR_UNLICENSED);
	assert_string_equal(err.text, "nvidia-gridd.service did not start within 0 s");
}

static void a_signal_ends_the_waiting(void **state)
{
	struct fake_systemd fake = FAKE_SYSTEMD_INIT;
	struct error err = ERROR_INIT;
	int pipes[2];

	(void)state;
	fake.job = NULL;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);

	assert_int_equal(restart(&fake, false, pipes[0], &err), -1);

	assert_true(err.interrupted);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(look_tells_the_state_of_the_unit),
		cmocka_unit_test(only_a_loaded_unit_that_is_active_is_active),
		cmocka_unit_test(without_a_bus_the_error_says_so),
		cmocka_unit_test(restart_waits_for_the_end_of_its_job),
		cmocka_unit_test(a_disabled_unit_is_enabled_and_files_are_read_again),
		cmocka_unit_test(a_missing_unit_is_an_error_of_the_installation),
		cmocka_unit_test(a_refusal_is_told_in_systemds_words),
		cmocka_unit_test(a_job_that_fails_is_told_with_the_services_result),
		cmocka_unit_test(a_job_that_never_ends_has_a_deadline),
		cmocka_unit_test(a_signal_ends_the_waiting),
	};

	return cmocka_run_group_tests_name("gridd", tests, NULL, NULL);
}
