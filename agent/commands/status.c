/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/guest.h"
#include "core/last_run.h"
#include "doctor/reason.h"
#include "license/query.h"
#include "model/license/metrics.h"
#include "steps/detect/detect.h"

#define PAUSE_FIRST_S 0.25
#define PAUSE_MOST_S 5.0
#define WATCH_INTERVAL_S 2

/* What one look is made of, and what it fills in. */
struct look {
	const struct context *ctx;
	const struct state *state;
	struct query query; /* how the driver is asked */
	struct guest *guest;
	struct license_report *report;
};

/* Every GPU of the bus must be in the report: one that is missing is not licensed. */
static int look_once(struct look *look, struct error *err)
{
	const struct context *ctx = look->ctx;
	struct license_report *report = look->report;

	report->count = 0; /* an earlier look must not pass for this one */
	if (query_license(&look->query, ctx->settings.monitor.backend, ctx->runner,
			  &ctx->root, report, err) < 0)
		return -1;
	if (report->count < look->guest->gpus.count)
		return error_set(err, ERROR_DRIVER,
				 "the driver shows %zu of the %zu GPUs on the PCI bus",
				 report->count, look->guest->gpus.count);
	if (license_check_words(report, ctx->settings.license.feature_type, err) < 0)
		return -1;
	if (!license_all_held(report, look->guest->gpus.count,
			      ctx->settings.license.feature_type))
		return error_set(err, ERROR_UNLICENSED, "not licensed");
	return 0;
}

/* At first boot the driver itself is still to come: that, too, is waited for. */
static int look_until(struct look *look, unsigned wait_s, struct error *err)
{
	double end = clock_monotonic() + wait_s, pause = PAUSE_FIRST_S;

	while (look_once(look, err) < 0) {
		double left = end - clock_monotonic();

		if (err->interrupted || left <= 0)
			return -1;
		if (clock_sleep(pause < left ? pause : left, look->ctx->runner->cancel_fd,
				err) < 0)
			return -1;
		pause = pause * 2 < PAUSE_MOST_S ? pause * 2 : PAUSE_MOST_S;
	}
	return 0;
}

static void find_reason(const struct look *look, struct license_reason *reason,
			struct error *err)
{
	reason_find(look->ctx, look->report, NULL, reason);
	if (!reason->code)
		return;
	(void)error_prefix(err, "%s", reason->message);
	(void)error_hint(err, "%s", reason->hint);
}

/* What came before the driver, and so is not its to tell: the last run knows. Why there
 * is no license is known anew; why there is no token, say, only that run knew. */
static void tell_last_run(const struct state *state, bool reason, struct error *err)
{
	struct state_failure failure;
	struct error found = *err;

	if (err->interrupted || !state_failed(state, &failure) ||
	    (reason && strcmp(failure.step, "license") == 0))
		return;
	(void)error_set(err, found.code, "%.160s; the last run ended in %s: %s",
			found.text, failure.step, failure.message);
	(void)error_hint(err, "%s", failure.hint[0] ? failure.hint : found.hint);
}

/* What has not come here, or makes way for an older driver, and why. */
static struct json *failed_builds(const struct look *look)
{
	char release[KERNEL_RELEASE_MAX] = "";
	struct error ignored = ERROR_INIT;

	if (detect_release(&look->ctx->root, release, sizeof(release), &ignored) < 0)
		release[0] = '\0';
	return builds_json(&look->state->builds, release);
}

/*
 * Fills the contract's object, also on failure where there is something to say. `wait_s`
 * 0: one look.
 */
static int read_status(struct look *look, unsigned wait_s, struct json **ret_report,
		       struct error *err)
{
	struct license_reason reason = { 0 };
	struct error found = ERROR_INIT;
	int result;

	look->report->count = 0;
	if (context_need_system(look->ctx, "status asks the driver", err) < 0 ||
	    guest_look_gpus(look->ctx, look->guest, err) < 0 ||
	    guest_need_gpu(look->ctx, look->guest, err) < 0)
		return -1;

	result = look_until(look, wait_s, &found);
	if (result < 0 && !found.hint[0] && found.code == ERROR_UNLICENSED)
		find_reason(look, &reason, &found);
	if (result < 0)
		tell_last_run(look->state, reason.code != NULL, &found);
	*ret_report = license_report_json(look->report->count ? look->report : NULL,
					  look->guest->gpus.count,
					  look->ctx->settings.license.feature_type,
					  reason.code ? &reason : NULL, clock_now());
	if (!*ret_report ||
	    last_run_add(*ret_report, last_run_read(&look->ctx->root)) < 0 ||
	    json_set(*ret_report, "builds", failed_builds(look)) < 0)
		return error_set_errno(err, ENOMEM, "reporting the status");
	if (result < 0)
		*err = found;
	return result;
}

/* The same as {"schema":1,"metrics":TEXT}, in Prometheus' text exposition format. */
static int read_metrics(struct look *look, unsigned wait_s, struct json **ret_report,
			struct error *err)
{
	cleanup_json struct json *status = NULL, *run = last_run_read(&look->ctx->root);
	cleanup_free char *text = NULL;
	struct metrics metrics = {
		.feature_type = look->ctx->settings.license.feature_type,
		/* Only root can read it; for others the last run has noted it. */
		.host_version = look->guest->host.version,
		.steps = look->state->steps,
	};
	int result = read_status(look, wait_s, &status, err);

	/* Without a status there was nothing to ask. */
	if (!status)
		return -1;
	metrics.report = look->report->count ? look->report : NULL;
	metrics.polled = clock_now();
	metrics.poll_errors = result < 0 && err->code == ERROR_DRIVER;
	metrics.gpus = look->guest->gpus.count;
	metrics.reason = json_get_string(json_get(status, "reason"), "code");
	last_run_tell(run, &metrics);

	text = metrics_print(&metrics);
	*ret_report = text ? json_build("{s:i, s:s}", "schema", 1, "metrics", text)
			   : NULL;
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "printing the metrics");
	return result;
}

static int answer(struct look *look, const struct request *request, unsigned wait_s,
		  struct json **ret_report, struct error *err)
{
	return request->prometheus ? read_metrics(look, wait_s, ret_report, err)
				   : read_status(look, wait_s, ret_report, err);
}

/* What is wrong is part of what is shown, as long as the next look may find it mended. */
static int watch(struct look *look, const struct request *request, struct error *err)
{
	look->query.stays = true;
	for (;;) {
		cleanup_json struct json *report = NULL;
		struct error now = ERROR_INIT;

		if (answer(look, request, 0, &report, &now) < 0 &&
		    (now.interrupted || now.code == ERROR_USAGE)) {
			*err = now;
			return -1;
		}
		if (request->each_look(request, report, &now, err) < 0 ||
		    clock_sleep(WATCH_INTERVAL_S, look->ctx->runner->cancel_fd, err) < 0)
			return -1;
	}
}

/* Of a document that is damaged or newer than the agent a licensed guest tells, too. */
static void say_warnings(const struct state *state)
{
	const struct json *warnings = json_get(state->trouble, "warnings");

	for (size_t i = 0; i < json_count(warnings); i++)
		log_line(LOG_LEVEL_WARNING, "warning: the last run: metadata: %s",
			 json_as_string(json_at(warnings, i)));
}

static int check_request(const struct request *request, struct error *err)
{
	if (request->watch && (request->json || request->waits))
		return error_set(err, ERROR_USAGE, "--watch does not go with %s",
				 request->json ? "--json" : "--wait");
	if (request->prometheus && request->json)
		return error_set(err, ERROR_USAGE,
				 "--prometheus does not go with --json");
	return 0;
}

int command_status(struct agent *agent, const struct request *request,
		   struct json **ret_report, struct error *err)
{
	struct look look = { .ctx = &agent->context,
			     .state = &agent->state,
			     .query = QUERY_INIT,
			     .guest = &agent->guest,
			     .report = &agent->lease.report };
	int result;

	if (check_request(request, err) < 0)
		return -1;
	if (guest_look_gpus(look.ctx, look.guest, err) < 0)
		return -1;
	guest_adopt_feature_type(look.ctx, look.guest, &agent->context.settings);
	if (!request->watch)
		say_warnings(&agent->state);
	result = request->watch
			 ? watch(&look, request, err)
			 : answer(&look, request, request->wait_s, ret_report, err);
	query_close(&look.query);
	return result;
}
