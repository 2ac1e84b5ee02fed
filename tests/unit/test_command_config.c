/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>

#include "support/agent_stage.h"
#include "support/cmocka.h"

static const struct request request;

static void the_settings_in_force_are_shown_without_secrets(void **state)
{
	struct agent *agent = agent_stage(*state, &request.options);
	cleanup_json struct json *report = NULL;
	cleanup_free char *text = NULL;
	struct error err = ERROR_INIT;

	(void)strcpy(agent->context.settings.driver.repository,
		     "https://me:pw@x.example/");
	assert_int_equal(command_config_show(agent, &request, &report, &err), 0);

	text = json_print(report);
	assert_non_null(text);
	assert_int_equal(json_get_int(report, "schema", 0), 1);
	assert_non_null(strstr(text, "https://x.example/"));
	assert_null(strstr(text, "me:pw"));
	agent_stage_end(agent);
}

static void a_configuration_that_was_read_is_valid(void **state)
{
	struct agent *agent = agent_stage(*state, &request.options);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(command_config_check(agent, &request, &report, &err), 0);
	assert_true(json_get_bool(report, "valid", false));
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_settings_in_force_are_shown_without_secrets),
		TEST(a_configuration_that_was_read_is_valid),
	};

	return cmocka_run_group_tests_name("command_config", tests, NULL, NULL);
}
