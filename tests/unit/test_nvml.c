/* wrap: kill */
/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/nvml_child.h"

#include <string.h>
#include <sys/wait.h>

#include "base/clock.h"
#include "steps/license/nvml.h"
#include "support/cmocka.h"

static struct license_report report;
static bool exact;

static void child_done(struct nvml_child *child)
{
	nvml_child_end(child);
}

/* The libraries of tests/fake/nvml.c, by the folder that CMake puts them into. */
static struct nvml_child start(const char *behaviour)
{
	struct nvml_child child = NVML_CHILD_INIT;
	struct error err = ERROR_INIT;
	char path[512];

	memset(&report, 0, sizeof(report));
	(void)snprintf(path, sizeof(path), FAKE_NVML_DIR "/libfake-nvml-%s.so",
		       behaviour);
	assert_int_equal(nvml_child_start(path, &child, &err), 0);
	return child;
}

static void a_licensed_vgpu_is_told_in_nvidia_smis_words(void **state)
{
	cleanup(child_done) struct nvml_child child = start("licensed");
	const struct license_gpu *gpu = &report.gpus[0];
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), 0);

	assert_string_equal(report.driver_version, "550.90.07");
	assert_true(exact);
	assert_int_equal(report.count, 1);
	assert_string_equal(gpu->id, "00000000:02:00.0");
	assert_string_equal(gpu->uuid, "GPU-11111111-2222-3333-4444-555555555555");
	assert_string_equal(gpu->name, "NVIDIA L40S-2Q");
	assert_string_equal(gpu->virtualization, "VGPU");
	assert_int_equal(gpu->feature_count, 1);
	assert_string_equal(gpu->features[0].product, "NVIDIA RTX Virtual Workstation");
	assert_string_equal(gpu->features[0].status,
			    "Licensed (Expiry: 2026-7-7 16:1:44 GMT)");
	assert_int_equal(gpu->features[0].state, LICENSE_LICENSED);
	assert_true(gpu->features[0].expiry == 1783440104);
}

static void it_answers_again_and_again(void **state)
{
	cleanup(child_done) struct nvml_child child = start("licensed");
	struct error err = ERROR_INIT;
	pid_t pid = child.pid;

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err),
				 0);

	assert_int_equal(child.pid, pid);
}

static void a_library_without_v4_has_no_expiry(void **state)
{
	cleanup(child_done) struct nvml_child child = start("without_v4");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), 0);

	assert_string_equal(report.gpus[0].features[0].status, "Licensed");
	assert_string_equal(report.gpus[0].features[0].product,
			    "NVIDIA RTX Virtual Workstation");
}

static void a_passed_through_gpu_has_no_license(void **state)
{
	cleanup(child_done) struct nvml_child child = start("passed_through");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), 0);

	assert_string_equal(report.gpus[0].virtualization, "Pass-Through");
	assert_int_equal(report.gpus[0].feature_count, 0);
}

static void sixty_four_gpus_and_an_endless_name_fit(void **state)
{
	cleanup(child_done) struct nvml_child child = start("many");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), 0);

	assert_int_equal(report.count, 64);
	assert_int_equal(strlen(report.gpus[63].features[0].product),
			 sizeof(report.gpus[63].features[0].product) - 1);
}

static void without_a_license_nvidia_smi_may_say_more(void **state)
{
	cleanup(child_done) struct nvml_child child = start("unlicensed");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), 0);

	assert_false(exact);
	assert_int_equal(report.gpus[0].features[0].state, LICENSE_UNLICENSED);
}

/* Each is an error that lets the caller ask nvidia-smi; the child goes on. */
static void every_doubt_is_an_error(void **state)
{
	static const struct {
		const char *behaviour, *text;
	} doubts[] = {
		{ "mismatched", "version mismatch" },      { "grown", "has grown" },
		{ "without_symbol", "nvmlDeviceGetName" }, { "odd", "number of GPUs" },
		{ "that-is-not-there", "opening NVML" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(doubts); i++) {
		cleanup(child_done) struct nvml_child child = start(doubts[i].behaviour);
		struct error err = ERROR_INIT;

		assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err),
				 -1);

		assert_int_equal(err.code, ERROR_DRIVER);
		if (!strstr(err.text, doubts[i].text))
			fail_msg("%s: %s", doubts[i].behaviour, err.text);
		assert_true(nvml_child_is_up(&child));
		assert_int_equal(report.count, 0);
	}
}

static void a_crash_costs_only_the_child(void **state)
{
	cleanup(child_done) struct nvml_child child = start("crashes");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_non_null(strstr(err.text, "without an answer"));
	assert_false(nvml_child_is_up(&child));
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
}

static void a_crash_after_good_answers_leaves_no_old_report(void **state)
{
	cleanup(child_done) struct nvml_child child = start("dies_later");
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), 0);
	memset(&report, 0, sizeof(report));
	assert_int_equal(nvml_child_ask(&child, 10, -1, &report, &exact, &err), -1);

	assert_int_equal(report.count, 0);
}

static bool cannot_die;
int __real_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number);
int __wrap_kill(pid_t pid, int number)
{
	return cannot_die ? 0 : __real_kill(pid, number);
}

/* In the driver, where no signal reaches it: it is left behind. */
static void a_child_that_cannot_die_is_not_waited_for(void **state)
{
	struct nvml_child child = start("hangs");
	struct error err = ERROR_INIT;
	pid_t pid = child.pid;

	(void)state;
	cannot_die = true;
	assert_int_equal(nvml_child_ask(&child, 1, -1, &report, &exact, &err), -1);
	cannot_die = false;

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_false(nvml_child_is_up(&child));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	assert_int_equal(__real_kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_hang_ends_with_the_time(void **state)
{
	cleanup(child_done) struct nvml_child child = start("hangs");
	struct error err = ERROR_INIT;
	double begin = clock_monotonic();

	(void)state;
	assert_int_equal(nvml_child_ask(&child, 1, -1, &report, &exact, &err), -1);

	assert_true(clock_monotonic() - begin < 5);
	assert_non_null(strstr(err.text, "does not answer"));
	assert_false(nvml_child_is_up(&child));
}

static void a_signal_ends_the_wait(void **state)
{
	cleanup(child_done) struct nvml_child child = start("hangs");
	struct error err = ERROR_INIT;
	int pipe_fds[2];

	(void)state;
	assert_int_equal(pipe(pipe_fds), 0);
	assert_int_equal(write(pipe_fds[1], "x", 1), 1);
	assert_int_equal(nvml_child_ask(&child, 10, pipe_fds[0], &report, &exact, &err),
			 -1);

	assert_true(err.interrupted);
	(void)close(pipe_fds[0]);
	(void)close(pipe_fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_licensed_vgpu_is_told_in_nvidia_smis_words),
		cmocka_unit_test(it_answers_again_and_again),
		cmocka_unit_test(a_library_without_v4_has_no_expiry),
		cmocka_unit_test(a_passed_through_gpu_has_no_license),
		cmocka_unit_test(sixty_four_gpus_and_an_endless_name_fit),
		cmocka_unit_test(without_a_license_nvidia_smi_may_say_more),
		cmocka_unit_test(every_doubt_is_an_error),
		cmocka_unit_test(a_crash_costs_only_the_child),
		cmocka_unit_test(a_crash_after_good_answers_leaves_no_old_report),
		cmocka_unit_test(a_hang_ends_with_the_time),
		cmocka_unit_test(a_child_that_cannot_die_is_not_waited_for),
		cmocka_unit_test(a_signal_ends_the_wait),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
