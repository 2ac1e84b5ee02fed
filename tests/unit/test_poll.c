/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/poll.h"

#include <errno.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/smi_report.h"
#include "support/sysroot.h"

/* What one call of nvidia-smi does. */
struct answer {
	const char *output; /* NULL: `count` vGPUs with `license` */
	const char *license;
	int count;
	int status, signal;
	bool timed_out, interrupted;
	size_t size; /* of an endless output; 0: the text's */
};

/* Answers in turn; the last one for ever. */
struct script {
	struct runner runner;
	const struct answer *answers;
	size_t count, calls;
	char argv[128];
	unsigned timeout_s;
	size_t seen; /* reports that `each` was shown */
};

static int play(struct runner *runner, const struct root *root, const struct run *run,
		struct run_result *ret_result, struct error *err)
{
	struct script *script = (struct script *)runner;
	size_t turn = script->calls < script->count ? script->calls : script->count - 1;
	const struct answer *answer = &script->answers[turn];

	(void)root;
	script->calls++;
	script->timeout_s = run->timeout_s;
	(void)text_format(script->argv, sizeof(script->argv), "%s %s%s", run->argv[0],
			  run->argv[1], run->argv[2] ? " more" : "");
	if (answer->interrupted)
		return error_set_interrupted(err);

	*ret_result = (struct run_result){
		.status = answer->status,
		.signal = answer->signal,
		.timed_out = answer->timed_out,
	};
	if (answer->size) {
		ret_result->size = answer->size < run->output_limit ? answer->size
								    : run->output_limit;
		ret_result->output = calloc(1, ret_result->size + 1);
		assert_non_null(ret_result->output);
		memset(ret_result->output, 'x', ret_result->size);
		return 0;
	}

	ret_result->output =
		answer->output
			? strdup(answer->output)
			: smi_report_vgpus(answer->count, answer->count, answer->license);
	assert_non_null(ret_result->output);
	ret_result->size = strlen(ret_result->output);
	return 0;
}

static void count_report(void *context, const struct license_report *report,
			 double seconds)
{
	struct script *script = context;

	assert_true(report->count > 0 && seconds >= 0);
	script->seen++;
}

static int setup(void **state)
{
	const struct sysroot *sysroot;
	char full[PATH_MAX];

	(void)sysroot_setup(state);
	sysroot = *state;
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_write(sysroot, "/usr/bin/nvidia-smi", "");
	(void)snprintf(full, sizeof(full), "%s/usr/bin/nvidia-smi", sysroot->dir);
	assert_int_equal(chmod(full, 0755), 0);
	return 0;
}

static struct script script_of(const struct answer *answers, size_t count)
{
	return (struct script){
		.runner = { .start = play, .cancel_fd = -1 },
		.answers = answers,
		.count = count,
	};
}

static struct license_report report;

static int ask_once(const struct sysroot *sysroot, const struct answer *answer,
		    struct error *err)
{
	struct script script = script_of(answer, 1);
	int result = poll_smi(&script.runner, &sysroot->root, 7, &report, err);

	if (script.calls) {
		assert_string_equal(script.argv, "/usr/bin/nvidia-smi -q");
		assert_int_equal(script.timeout_s, 7);
	}
	return result;
}

static void a_report_is_read(void **state)
{
	const struct answer answer = { .count = 2, .license = "Licensed" };
	struct error err = ERROR_INIT;

	assert_int_equal(ask_once(*state, &answer, &err), 0);

	assert_int_equal(report.count, 2);
	assert_string_equal(report.driver_version, "535.183.06");
}

static void a_whole_report_counts_whatever_the_status(void **state)
{
	const struct answer answer = { .count = 1, .license = "Licensed", .status = 14 };
	struct error err = ERROR_INIT;

	assert_int_equal(ask_once(*state, &answer, &err), 0);
}

static const struct {
	const char *name;
	struct answer answer;
	const char *text;
} failures[] = {
	{ "not loaded",
	  { .output = "NVIDIA-SMI has failed because it couldn't communicate with the "
		      "NVIDIA driver.\n",
	    .status = 9 },
	  "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver." },
	{ "mismatch, on standard output",
	  { .output = "Failed to initialize NVML: Driver/library version mismatch\n"
		      "NVML library version: 580.173\n",
	    .status = 18 },
	  "Failed to initialize NVML: Driver/library version mismatch" },
	{ "no devices",
	  { .output = "No devices were found\n", .status = 6 },
	  "No devices were found" },
	{ "no words, a known status",
	  { .output = "", .status = 12 },
	  "nvidia-smi ended with status 12 (the library of NVML is missing): nvidia-smi "
	  "printed nothing" },
	{ "no words, another status",
	  { .output = "", .status = 255 },
	  "nvidia-smi ended with status 255: nvidia-smi printed nothing" },
	{ "half a report",
	  { .output = "Attached GPUs : 1\nGPU 00000000:02:00.0\n    Product Name : A\n" },
	  "nvidia-smi's report stops in the middle of a GPU" },
	{ "half a report before the crash",
	  { .output = "Attached GPUs : 1\nGPU 00000000:02:00.0\n", .signal = 11 },
	  "nvidia-smi: killed by signal 11" },
	{ "hangs",
	  { .output = "", .timed_out = true, .signal = 9 },
	  "nvidia-smi: no end after 7 s" },
	{ "endless",
	  { .size = 100u << 20 },
	  "nvidia-smi printed more than 4194304 bytes" },
};

static void every_failure_is_the_drivers_with_its_words(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		struct error err = ERROR_INIT;

		print_message("case: %s\n", failures[i].name);
		assert_int_equal(ask_once(*state, &failures[i].answer, &err), -1);
		assert_int_equal(err.code, ERROR_DRIVER);
		assert_string_equal(err.text, failures[i].text);
	}
}

static void without_nvidia_smi_nothing_is_asked_again(void **state)
{
	const struct sysroot *sysroot = *state;
	const struct answer answer = { .count = 1, .license = "Licensed" };
	struct script script = script_of(&answer, 1);
	const struct poll_wait wait = { .wait_s = 60, .feature_type = 1 };
	struct error err = ERROR_INIT;

	assert_int_equal(root_unlink(&sysroot->root, "/usr/bin/nvidia-smi", &err), 0);

	assert_int_equal(
		poll_until_licensed(&script.runner, &sysroot->root, &wait, &report, &err),
		-1);
	assert_int_equal(err.code, ERROR_DRIVER);
	assert_string_equal(err.text, "nvidia-smi is not there");
	assert_int_equal(script.calls, 0);
}

#define LICENSED .license = "Licensed (Expiry: 2026-7-7 16:1:44 GMT)"
#define UNLICENSED .license = "Unlicensed (Unrestricted)"

static int wait_for(const struct sysroot *sysroot, struct script *script, unsigned wait_s,
		    size_t expected, struct error *err)
{
	const struct poll_wait wait = {
		.wait_s = wait_s,
		.feature_type = 1,
		.expected = expected,
		.interval_s = 0.001,
		.each = count_report,
		.context = script,
	};

	return poll_until_licensed(&script->runner, &sysroot->root, &wait, &report, err);
}

static void it_asks_until_every_gpu_is_licensed(void **state)
{
	static const struct answer answers[] = {
		{ .count = 2, UNLICENSED },
		{ .output = "Failed to initialize NVML: Unknown Error\n", .status = 255 },
		{ .output = "GPU 00000000:02:00.0\n" },
		{ .count = 1, LICENSED }, /* the other GPU is not there yet */
		{ .count = 2, LICENSED },
	};
	struct script script = script_of(answers, ARRAY_SIZE(answers));
	struct error err = ERROR_INIT;

	assert_int_equal(wait_for(*state, &script, 60, 2, &err), 0);

	assert_int_equal(script.calls, ARRAY_SIZE(answers));
	assert_int_equal(script.seen, 2);
	assert_int_equal(report.count, 2);
	assert_int_equal(report.gpus[1].features[0].state, LICENSE_LICENSED);
}

static void without_time_it_looks_once(void **state)
{
	const struct answer answer = { .count = 1, UNLICENSED };
	struct script script = script_of(&answer, 1);
	struct error err = ERROR_INIT;

	assert_int_equal(wait_for(*state, &script, 0, 1, &err), -1);

	assert_int_equal(err.code, ERROR_UNLICENSED);
	assert_string_equal(err.text, "GPU 00000000:00:00.0 is not licensed after 0 s: "
				      "Unlicensed (Unrestricted)");
	assert_int_equal(script.calls, 1);
	assert_int_equal(report.gpus[0].features[0].state,
			 LICENSE_UNLICENSED_UNRESTRICTED);
}

static void a_missing_gpu_is_the_drivers_error(void **state)
{
	const struct answer answer = { .count = 1, LICENSED };
	struct script script = script_of(&answer, 1);
	struct error err = ERROR_INIT;

	assert_int_equal(wait_for(*state, &script, 0, 2, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_string_equal(err.text, "nvidia-smi shows 1 of the 2 GPUs");
}

static void a_driver_that_stays_broken_is_the_last_error(void **state)
{
	static const struct answer answers[] = {
		{ .count = 1, UNLICENSED },
		{ .output = "No devices were found\n", .status = 6 },
	};
	struct script script = script_of(answers, ARRAY_SIZE(answers));
	struct error err = ERROR_INIT;

	assert_int_equal(wait_for(*state, &script, 1, 1, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_string_equal(err.text, "No devices were found");
	/* 1, 2, 4, ... 512 ms and what is left: the interval grows. */
	assert_in_range(script.calls, 3, 11);
}

static void each_call_has_a_limit_that_fits_the_wait(void **state)
{
	static const unsigned limits[][2] = { { 0, 10 }, { 20, 20 }, { 300, 30 } };
	const struct answer answer = { .count = 1, LICENSED };

	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		struct script script = script_of(&answer, 1);
		struct error err = ERROR_INIT;

		assert_int_equal(wait_for(*state, &script, limits[i][0], 1, &err), 0);
		assert_int_equal(script.timeout_s, limits[i][1]);
	}
}

static void a_signal_ends_the_waiting(void **state)
{
	const struct answer answer = { .count = 1, UNLICENSED };
	struct script script = script_of(&answer, 1);
	struct error err = ERROR_INIT;
	int pipes[2];

	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write(pipes[1], "x", 1), 1);
	script.runner.cancel_fd = pipes[0];

	assert_int_equal(wait_for(*state, &script, 60, 1, &err), -1);

	assert_true(err.interrupted);
	assert_int_equal(script.calls, 1);
	(void)close(pipes[0]);
	(void)close(pipes[1]);
}

static void a_signal_during_the_call_is_no_reason_to_ask_again(void **state)
{
	const struct answer answer = { .interrupted = true };
	struct script script = script_of(&answer, 1);
	struct error err = ERROR_INIT;

	assert_int_equal(wait_for(*state, &script, 60, 1, &err), -1);

	assert_true(err.interrupted);
	assert_int_equal(script.calls, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_report_is_read),
		TEST(a_whole_report_counts_whatever_the_status),
		TEST(every_failure_is_the_drivers_with_its_words),
		TEST(without_nvidia_smi_nothing_is_asked_again),
		TEST(it_asks_until_every_gpu_is_licensed),
		TEST(without_time_it_looks_once),
		TEST(a_missing_gpu_is_the_drivers_error),
		TEST(a_driver_that_stays_broken_is_the_last_error),
		TEST(each_call_has_a_limit_that_fits_the_wait),
		TEST(a_signal_ends_the_waiting),
		TEST(a_signal_during_the_call_is_no_reason_to_ask_again),
	};

	return cmocka_run_group_tests_name("poll", tests, NULL, NULL);
}
