/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>
#include <sys/stat.h>

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

/* What is no error, and will be none before it is needed. */
static void what_will_not_work_is_warned_of(void **state)
{
	static const struct {
		const char *text;
		mode_t mode;
		const char *warning; /* NULL: none */
	} rows[] = {
		{ "http: { ca_file = \"/etc/none.pem\"; };", 0644,
		  "http.ca_file (/etc/agent.conf:1): /etc/none.pem is not there" },
		{ "license: { token_file = \"/mnt/t.tok\"; };", 0644,
		  "/mnt/t.tok is not" },
		{ "driver: { url = \"file:///srv/x.run\"; };", 0644,
		  "/srv/x.run is not" },
		{ "http: { ca_file = \"/etc/agent.conf\"; };", 0644, NULL },
		{ "license: { gridd: { LicenceInterval = 30; }; };", 0644,
		  "did you mean LicenseInterval?" },
		{ "license: { gridd: { EnableUi = true; }; };", 0644, "EnableUI?" },
		{ "license: { gridd: { LicenseInterval = 30; }; };", 0644, NULL },
		{ "license: { gridd: { QuiteAnotherOption = 30; }; };", 0644, NULL },
		{ "driver: { repository = \"https://me:pw@x.example/\"; };", 0644,
		  "driver.repository (/etc/agent.conf:1) holds a password" },
		{ "http: { proxy = \"http://me:pw@x.example:3128\"; };", 0640,
		  "http.proxy" },
		{ "http: { proxy = \"http://me:pw@x.example:3128\"; };", 0600, NULL },
		{ "driver: { repository = \"https://me@x.example/a:b@c\"; };", 0644,
		  NULL },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = agent_stage(*state, &request.options);
		cleanup_json struct json *report = NULL;
		cleanup_free char *text = NULL;
		struct error err = ERROR_INIT;

		sysroot_empty(*state);
		sysroot_mkdir(*state, "/etc");
		sysroot_write(*state, "/etc/agent.conf", rows[i].text);
		assert_int_equal(fchmodat(agent->context.root.fd, "etc/agent.conf",
					  rows[i].mode, 0),
				 0);
		if (settings_read(&agent->context.settings, rows[i].text,
				  strlen(rows[i].text), "/etc/agent.conf", SETTINGS_FILE,
				  &err) < 0)
			fail_msg("%s", err.text);
		assert_int_equal(command_config_check(agent, &request, &report, &err), 0);
		text = json_print(json_get(report, "warnings"));
		assert_int_equal(json_count(json_get(report, "warnings")),
				 rows[i].warning ? 1 : 0);
		if (rows[i].warning && !strstr(text, rows[i].warning))
			fail_msg("%s", text);
		assert_null(strstr(text, "pw"));
		agent_stage_end(agent);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_settings_in_force_are_shown_without_secrets),
		TEST(a_configuration_that_was_read_is_valid),
		TEST(what_will_not_work_is_warned_of),
	};

	return cmocka_run_group_tests_name("command_config", tests, NULL, NULL);
}
