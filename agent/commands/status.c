/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/status.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "doctor/reason.h"
#include "model/metrics.h"
#include "steps/detect.h"

/* Every GPU of the bus must be in the report: one that is missing is not licensed. */
static int look_once(struct agent *agent, struct error *err)
{
	struct license_report *report = &agent->license;

	report->count = 0; /* an earlier look must not pass for this one */
	if (query_license(&agent->look, agent->settings.monitor.backend, &agent->runner,
			  &agent->root, report, err) < 0)
		return -1;
	if (report->count < agent->gpus.count)
		return error_set(err, ERROR_DRIVER,
				 "the driver shows %zu of the %zu GPUs on the PCI bus",
				 report->count, agent->gpus.count);
	if (!license_all_held(report, agent->gpus.count,
			      agent->settings.license.feature_type))
		return error_set(err, ERROR_UNLICENSED, "not licensed");
	return 0;
}

#define PAUSE_FIRST_S 0.25
#define PAUSE_MOST_S 5.0

/* At first boot the driver itself is still to come: that, too, is waited for. */
static int look(struct agent *agent, unsigned wait_s, struct error *err)
{
	double end = clock_monotonic() + wait_s, pause = PAUSE_FIRST_S;

	while (look_once(agent, err) < 0) {
		double left = end - clock_monotonic();

		if (err->interrupted || left <= 0)
			return -1;
		if (clock_sleep(pause < left ? pause : left, agent->runner.cancel_fd,
				err) < 0)
			return -1;
		pause = pause * 2 < PAUSE_MOST_S ? pause * 2 : PAUSE_MOST_S;
	}
	return 0;
}

static void find_reason(struct agent *agent, struct license_reason *reason,
			struct error *err)
{
	reason_find(agent, NULL, reason);
	if (!reason->code)
		return;
	(void)error_prefix(err, "%s", reason->message);
	(void)error_hint(err, "%s", reason->hint);
}

/* What came before the driver, and so is not its to tell: the last run knows. Why there
 * is no license is known anew; why there is no token, say, only that run knew. */
static void tell_last_run(const struct agent *agent, bool reason, struct error *err)
{
	const struct json *trouble = agent->state.trouble;
	const char *step = json_get_string(trouble, "step");
	const char *message = json_get_string(trouble, "message");
	const char *hint = json_get_string(trouble, "hint");
	struct error found = *err;

	if (!step || !message || err->interrupted ||
	    (reason && strcmp(step, "license") == 0))
		return;
	(void)error_set(err, found.code, "%.160s; the last run ended in %s: %s",
			found.text, step, message);
	(void)error_hint(err, "%s", hint && hint[0] ? hint : found.hint);
}

int command_status_read(struct agent *agent, unsigned wait_s, struct json **ret_report,
			struct error *err)
{
	struct license_reason reason = { 0 };
	struct error found = ERROR_INIT;
	int result;

	agent->license.count = 0;
	if (agent->offline) {
		(void)error_set(err, ERROR_USAGE, "status asks the driver: not offline");
		return -1;
	}
	if (detect_gpus(&agent->sysfs, &agent->gpus, err) < 0)
		return -1;
	if (agent->gpus.count == 0)
		return error_set(err, ERROR_NO_GPU, "no NVIDIA GPU on the PCI bus");

	result = look(agent, wait_s, &found);
	if (result < 0 && !found.hint[0] && found.code == ERROR_UNLICENSED)
		find_reason(agent, &reason, &found);
	if (result < 0)
		tell_last_run(agent, reason.code != NULL, &found);
	*ret_report = license_report_json(agent->license.count ? &agent->license : NULL,
					  agent->gpus.count,
					  agent->settings.license.feature_type,
					  reason.code ? &reason : NULL, clock_now());
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "reporting the status");
	if (result < 0)
		*err = found;
	return result;
}

int command_status_metrics(struct agent *agent, unsigned wait_s, struct json **ret_report,
			   struct error *err)
{
	cleanup_json struct json *status = NULL;
	cleanup_free char *text = NULL;
	struct metrics metrics = { .feature_type = agent->settings.license.feature_type };
	struct error ignored = ERROR_INIT;
	int result = command_status_read(agent, wait_s, &status, err);

	/* Without a status there was nothing to ask. */
	if (!status)
		return -1;
	/* Only root can read the host's version; nobody else has it in the metrics. */
	if (gpu_host(&agent->gpus, &agent->host, &ignored) == 0)
		metrics.host_version = agent->host.version;
	metrics.report = agent->license.count ? &agent->license : NULL;
	metrics.steps = agent->state.steps;
	metrics.polled = clock_now();
	metrics.poll_errors = result < 0 && err->code == ERROR_DRIVER;

	text = metrics_print(&metrics);
	*ret_report = text ? json_build("{s:i, s:s}", "schema", 1, "metrics", text)
			   : NULL;
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "printing the metrics");
	return result;
}
