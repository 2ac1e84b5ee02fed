/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/poll.h"

#include <errno.h>

#include "base/clock.h"
#include "base/text.h"
#include "model/license/smi.h"

#define OUTPUT_LIMIT (4u << 20) /* 64 GPUs print under 1 MiB */
#define INTERVAL_FIRST_S 0.25
#define INTERVAL_MOST_S 5.0
#define CALL_LEAST_S 10 /* eight GPUs without persistence mode take about as long */
#define CALL_MOST_S 30

/* NVML's codes, which nvidia-smi ends with; the man page names all but 18. */
static const struct {
	int status;
	const char *meaning;
} meanings[] = {
	{ 4, "no permission" },
	{ 9, "the driver is not loaded" },
	{ 12, "the library of NVML is missing" },
	{ 13, "the library of NVML is of another version" },
	{ 15, "a GPU is lost to the driver" },
	{ 18, "the library and the loaded module are of different versions" },
};

static const char *meaning_of(int status)
{
	for (size_t i = 0; i < ARRAY_SIZE(meanings); i++) {
		if (meanings[i].status == status)
			return meanings[i].meaning;
	}

	return NULL;
}

/* The report tells the truth where it is whole: status 14 and others come with one. */
static int read_result(const struct run_result *result, struct license_report *ret_report,
		       struct error *err)
{
	struct span output = { result->output, result->size };
	char said[256];

	if (smi_parse(output, ret_report, err) == 0)
		return 0;
	if (result->status == 0 || smi_complaint(output, said, sizeof(said)))
		return -1;

	if (meaning_of(result->status))
		return error_prefix(err, "nvidia-smi ended with status %d (%s)",
				    result->status, meaning_of(result->status));
	return error_prefix(err, "nvidia-smi ended with status %d", result->status);
}

int poll_smi(struct runner *runner, const struct root *root, unsigned timeout_s,
	     struct license_report *ret_report, struct error *err)
{
	char path[256];
	const char *argv[] = { run_find(root, "nvidia-smi", path, sizeof(path)), "-q",
			       NULL };
	const struct run run = {
		.argv = argv,
		.timeout_s = timeout_s,
		.output_limit = OUTPUT_LIMIT,
	};
	cleanup(run_result_done) struct run_result result = { 0 };

	if (!argv[0]) {
		(void)error_set(err, ERROR_DRIVER, "nvidia-smi is not there");
		err->errnum = ENOENT;
		return error_hint(err, "install the driver: vgpu-guest-agent run");
	}

	if (run_command(runner, root, &run, &result, err) < 0)
		return err->interrupted ? -1 : error_recode(err, ERROR_DRIVER);
	if (result.timed_out || result.signal) {
		char how[64];

		(void)error_set(err, ERROR_DRIVER, "nvidia-smi: %s",
				run_describe(&result, &run, how, sizeof(how)));
		return error_hint(err,
				  "the driver does not answer: see what dmesg says of "
				  "NVRM");
	}
	if (result.size >= OUTPUT_LIMIT)
		return error_set(err, ERROR_DRIVER,
				 "nvidia-smi printed more than %u bytes", OUTPUT_LIMIT);
	return read_result(&result, ret_report, err);
}

/* A call that hangs does not outlast a short wait by much, nor eat a long one alone. */
static unsigned call_timeout(unsigned wait_s)
{
	if (wait_s < CALL_LEAST_S)
		return CALL_LEAST_S;
	return wait_s < CALL_MOST_S ? wait_s : CALL_MOST_S;
}

/* One look; a GPU that the driver does not show is as bad as none. */
static int poll_all_gpus(struct runner *runner, const struct root *root,
			 const struct poll_wait *wait, struct license_report *report,
			 struct error *err)
{
	if (poll_smi(runner, root, call_timeout(wait->wait_s), report, err) < 0)
		return -1;
	if (report->count >= wait->expected)
		return 0;

	(void)error_set(err, ERROR_DRIVER, "nvidia-smi shows %zu of the %zu GPUs",
			report->count, wait->expected);
	return error_hint(err, "see what dmesg says of NVRM and the missing GPU");
}

/* Right after its start the driver may fail for a while; without the program, for ever.
 */
static bool is_final(const struct error *err)
{
	return err->interrupted || err->code != ERROR_DRIVER || err->errnum == ENOENT;
}

static int fail_unlicensed(const struct license_report *report,
			   const struct poll_wait *wait, struct error *err)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct license_gpu *gpu = &report->gpus[i];
		const char *status = "no license section";

		if (!license_needed(gpu, wait->feature_type) || license_held(gpu))
			continue;
		if (gpu->feature_count > 0)
			status = gpu->features[0].status;
		return error_set(err, ERROR_UNLICENSED,
				 "GPU %s is not licensed after %u s: %s", gpu->id,
				 wait->wait_s, status);
	}

	return error_set(err, ERROR_INTERNAL, "no GPU is without a license");
}

int poll_until_licensed(struct runner *runner, const struct root *root,
			const struct poll_wait *wait, struct license_report *ret_report,
			struct error *err)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	double begin = clock_monotonic();
	double interval = wait->interval_s > 0 ? wait->interval_s : INTERVAL_FIRST_S;

	if (!report)
		return error_set_errno(err, ENOMEM, "asking nvidia-smi");

	for (;;) {
		struct error now = ERROR_INIT;
		bool seen = poll_all_gpus(runner, root, wait, report, &now) == 0;
		double passed = clock_monotonic() - begin;
		double left = wait->wait_s - passed;

		if (seen) {
			*ret_report = *report;
			if (wait->each)
				wait->each(wait->context, report, passed);
			if (license_all_held(report, wait->expected, wait->feature_type))
				return 0;
		}

		if (!seen && (left <= 0 || is_final(&now))) {
			*err = now;
			return -1;
		}
		if (left <= 0)
			return license_check_words(report, wait->feature_type, err) < 0
				       ? -1
				       : fail_unlicensed(report, wait, err);
		if (clock_sleep(interval < left ? interval : left, runner->cancel_fd,
				err) < 0)
			return -1;
		interval = interval * 2 < INTERVAL_MOST_S ? interval * 2
							  : INTERVAL_MOST_S;
	}
}
