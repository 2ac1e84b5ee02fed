/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>
#include <sys/stat.h>

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

/* A guest whose nvidia-smi answers. */
static struct agent *begin(const struct sysroot *sysroot, const struct options *options)
{
	static struct machine machine;
	struct agent *agent = agent_stage_guest(sysroot, options, &machine);

	sysroot_write(sysroot, PATHS_SMI, "");
	assert_int_equal(fchmodat(sysroot->root.fd, &PATHS_SMI[1], 0755, 0), 0);
	machine.licensed = true;
	(void)strcpy(agent->context.settings.monitor.backend, "nvidia-smi");
	return agent;
}

static void a_licensed_guest_is_told_in_both_forms(void **state)
{
	struct request asked = { .json = false };
	struct agent *agent = begin(*state, &asked.options);
	cleanup_json struct json *report = NULL, *metrics = NULL;
	struct error err = ERROR_INIT;

	if (command_status(agent, &asked, &report, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(json_get_bool(report, "licensed", false));

	asked.prometheus = true;
	if (command_status(agent, &asked, &metrics, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(strstr(json_get_string(metrics, "metrics"), "# TYPE "));
	agent_stage_end(agent);
}

/* Of the kernel that runs, and whichever driver is here instead. */
static void what_does_not_compile_here_is_told(void **state)
{
	struct request asked = { .json = false };
	struct agent *agent = begin(*state, &asked.options);
	cleanup_json struct json *report = NULL;
	const struct json *builds;
	struct error err = ERROR_INIT;

	builds_note(&agent->state.builds,
		    &(struct known_build){ .version = MACHINE_NEW,
					   .kernel = MACHINE_KERNEL,
					   .why = "nv-pci.c: error" });
	builds_note(&agent->state.builds,
		    &(struct known_build){ .version = MACHINE_NEW,
					   .kernel = "6.1.0-38-cloud-amd64" });
	if (command_status(agent, &asked, &report, &err) < 0)
		fail_msg("%s", err.text);

	builds = json_get(report, "builds");
	assert_int_equal(json_count(builds), 1);
	assert_string_equal(json_get_string(json_at(builds, 0), "kernel"),
			    MACHINE_KERNEL);
	assert_string_equal(json_get_string(json_at(builds, 0), "why"),
			    "nv-pci.c: error");
	agent_stage_end(agent);
}

static void a_gpu_that_the_driver_does_not_show_is_not_licensed(void **state)
{
	static const char *const files[][2] = { { "vendor", "0x10de" },
						{ "class", "0x030000" },
						{ "device", "0x1eb8" },
						{ "subsystem_device", "0x130f" } };
	struct agent *agent = begin(*state, &request.options);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_mkdir(*state, "/bus/pci/devices/0000:07:00.0");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[96];

		(void)text_format(path, sizeof(path), "/bus/pci/devices/0000:07:00.0/%s",
				  files[i][0]);
		sysroot_write(*state, path, files[i][1]);
	}
	assert_int_equal(command_status(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_string_equal(err.text, "the driver shows 1 of the 2 GPUs on the PCI bus");
	agent_stage_end(agent);
}

static int end_watch(const struct request *of, const struct json *report,
		     const struct error *now, struct error *err)
{
	(void)of;
	assert_non_null(report);
	assert_int_equal(now->code, ERROR_NONE);
	return error_set(err, ERROR_INTERNAL, "seen enough");
}

static void a_watch_shows_each_look(void **state)
{
	struct request asked = { .watch = true, .each_look = end_watch };
	struct agent *agent = begin(*state, &asked.options);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(command_status(agent, &asked, &report, &err), -1);
	assert_string_equal(err.text, "seen enough");
	agent_stage_end(agent);
}

static void what_does_not_go_together_is_refused(void **state)
{
	static const struct request rows[] = {
		{ .watch = true, .json = true },
		{ .watch = true, .waits = true },
		{ .prometheus = true, .json = true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = agent_stage(*state, &rows[i].options);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		assert_int_equal(command_status(agent, &rows[i], &report, &err), -1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_non_null(strstr(err.text, "does not go with"));
		agent_stage_end(agent);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_the_last_run_failed_of_is_told,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_run_that_ended_well_has_nothing_to_tell,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_licensed_guest_is_told_in_both_forms,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_does_not_compile_here_is_told,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_gpu_that_the_driver_does_not_show_is_not_licensed,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_watch_shows_each_look, sysroot_setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(what_does_not_go_together_is_refused,
						sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("command_status", tests, NULL, NULL);
}
