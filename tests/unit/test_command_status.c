/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>

#include "base/text.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

/* Also of the license, where nothing newer is known of it. */
static const struct request request;

static void what_the_last_run_failed_of_is_told(void **state)
{
	static const char *const steps[] = { "match", "license" };
	const struct sysroot *sysroot = *state;

	stage_add_gpu(sysroot);
	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		struct agent *agent = agent_stage(sysroot, &request.options);
		char told[96];

		agent->state.trouble = json_build("{s:s, s:s, s:s, s:[]}", "step",
						  steps[i], "message", "no repository",
						  "hint", "name one", "warnings");
		assert_int_equal(command_status(agent, &request, &report, &err), -1);

		assert_int_equal(err.code, ERROR_DRIVER);
		(void)text_format(told, sizeof(told),
				  "nvidia-smi is not there; the last run ended in %s: "
				  "no repository",
				  steps[i]);
		assert_string_equal(err.text, told);
		assert_string_equal(err.hint, "name one");
		state_done(&agent->state);
	}
}

static void a_run_that_ended_well_has_nothing_to_tell(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct agent *agent = agent_stage(sysroot, &request.options);

	stage_add_gpu(sysroot);
	agent->state.trouble = json_build("{s:n, s:n, s:n, s:[s]}", "step", "message",
					  "hint", "warnings",
					  "vendor_data.json: unknown key colour");
	assert_int_equal(command_status(agent, &request, &report, &err), -1);

	assert_string_equal(err.text, "nvidia-smi is not there");
	state_done(&agent->state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_last_run_failed_of_is_told,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_run_that_ended_well_has_nothing_to_tell,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("command_status", tests, NULL, NULL);
}
