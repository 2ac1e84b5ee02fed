/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/status.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define GPU "/bus/pci/devices/0000:06:00.0"

/* A guest with a GPU, without a driver. */
static void prepare(const struct sysroot *sysroot, struct agent *agent)
{
	const struct agent_options options = { .config = NULL };
	struct error err = ERROR_INIT;

	assert_int_equal(root_mkdir(&sysroot->root, GPU, 0755, &err), 0);
	sysroot_write(sysroot, GPU "/vendor", "0x10de\n");
	sysroot_write(sysroot, GPU "/class", "0x030000\n");
	sysroot_write(sysroot, GPU "/device", "0x1eb8\n");
	sysroot_write(sysroot, GPU "/subsystem_device", "0x130f\n");
	agent_init(agent, &options, -1);
	settings_init(&agent->settings);
	agent->root = agent->sysfs = sysroot->root;
}

/* Also of the license, where nothing newer is known of it. */
static void what_the_last_run_failed_of_is_told(void **state)
{
	static const char *const steps[] = { "match", "license" };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(steps); i++) {
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		struct agent agent;
		char told[96];

		prepare(sysroot, &agent);
		agent.state.trouble = json_build("{s:s, s:s, s:s, s:[]}", "step",
						 steps[i], "message", "no repository",
						 "hint", "name one", "warnings");
		assert_int_equal(command_status_read(&agent, 0, &report, &err), -1);

		assert_int_equal(err.code, ERROR_DRIVER);
		(void)text_format(told, sizeof(told),
				  "nvidia-smi is not there; the last run ended in %s: "
				  "no repository",
				  steps[i]);
		assert_string_equal(err.text, told);
		assert_string_equal(err.hint, "name one");
		state_done(&agent.state);
	}
}

static void a_run_that_ended_well_has_nothing_to_tell(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct agent agent;

	prepare(sysroot, &agent);
	agent.state.trouble = json_build("{s:n, s:n, s:n, s:[s]}", "step", "message",
					 "hint", "warnings",
					 "vendor_data.json: unknown key colour");
	assert_int_equal(command_status_read(&agent, 0, &report, &err), -1);

	assert_string_equal(err.text, "nvidia-smi is not there");
	state_done(&agent.state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_last_run_failed_of_is_told,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_run_that_ended_well_has_nothing_to_tell,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("status", tests, NULL, NULL);
}
