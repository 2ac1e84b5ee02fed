/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <malloc.h>
#include <poll.h>
#include <string.h>
#include <syslog.h>
#include <systemd/sd-daemon.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "core/guest.h"
#include "core/journal.h"
#include "core/last_run.h"
#include "doctor/reason.h"
#include "license/publish.h"
#include "license/query.h"
#include "license/token_watch.h"
#include "model/license/event.h"
#include "model/license/metrics.h"
#include "model/license/token.h"
#include "model/paths.h"
#include "steps/license/announce.h"
#include "steps/license/gridd_log.h"
#include "steps/license/token.h"
#include "steps/license/watch.h"
#include "steps/sealed.h"

#define CALM_S 1.0          /* between two looks, whatever happens */
#define JOURNAL_CALM_S 2.0  /* other programs' lines wake the journal, too */
#define SILENT_AGAIN_S 5    /* a driver that fails once is asked again soon */
#define HEAP_LARGEST 65536  /* larger blocks go back to the system when they are freed */
#define METADATA_EVERY 5    /* intervals */
#define METRICS_STALE_S 600 /* then the time of the poll counts as content */

enum {
	MARK_LOOK = 1 << 0,
	MARK_TOKEN = 1 << 1,
	MARK_CHANGING = 1 << 2,
	MARK_STATE = 1 << 3,
};

struct monitor {
	const struct context *ctx;
	struct guest *guest;
	struct state *state;
	struct license_report *license; /* of the last look */
	struct query query;             /* how the driver is asked */
	struct watch watch;
	struct gridd_log *log;
	struct event_memory memory;
	struct token_watch rotation;
	struct reason_memory reason;
	const char *reason_code; /* of the last look, static; NULL: none */
	double next_look, next_metadata, last_look, log_after;
	double watchdog_s; /* 0: nobody waits for us */
	bool failed;       /* the last look; one failure alone is not told */
	uint64_t poll_errors;
	struct json *run; /* how the last one ended; NULL: none since the boot */
	char *metrics;    /* what the file holds, without the time of the poll */
	int64_t metrics_at;
	bool status_failed, metrics_failed; /* to be written; was warned of */
	char status_text[64];
};

static void monitor_done(struct monitor *monitor)
{
	watch_close(&monitor->watch);
	query_close(&monitor->query);
	gridd_log_close(monitor->log);
	token_watch_done(&monitor->rotation);
	json_free(monitor->run);
	free(monitor->metrics);
}

static void tell(const struct event *event)
{
	static const struct {
		const char *id;
		int priority;
	} kinds[] = {
		[EVENT_LICENSED] = { JOURNAL_LICENSED, LOG_NOTICE },
		[EVENT_UNLICENSED] = { JOURNAL_UNLICENSED, LOG_ERR },
		[EVENT_CHANGED] = { JOURNAL_CHANGED, LOG_WARNING },
		[EVENT_EXPIRING] = { JOURNAL_EXPIRING, LOG_WARNING },
		[EVENT_SILENT] = { JOURNAL_SILENT, LOG_ERR },
		[EVENT_ANSWERS] = { JOURNAL_ANSWERS, LOG_NOTICE },
	};

	journal_event(kinds[event->kind].id, kinds[event->kind].priority, event->text);
	if (!journal_is_stderr())
		log_line(LOG_LEVEL_NOTICE, "monitor    %s", event->text);
}

/* One event more than the reports of the events themselves: why the driver is silent. */
static void tell_all(struct monitor *monitor, const struct license_report *report,
		     const struct error *why)
{
	struct event *events = calloc(EVENT_MAX, sizeof(*events));
	size_t count;

	if (!events)
		return;
	count = event_compare(&monitor->memory, report,
			      monitor->ctx->settings.license.feature_type, clock_now(),
			      events);
	for (size_t i = 0; i < count; i++) {
		if (events[i].kind == EVENT_SILENT)
			(void)text_copy(events[i].text, sizeof(events[i].text),
					why->text);
		tell(&events[i]);
	}
	free(events);
}

/*
 * Where the metrics go. A folder of others is not the monitor's to write in: there root
 * has left a link to a file in ours, which whoever collects them follows.
 */
static const char *metrics_path(const struct root *root, const char *path)
{
	char target[sizeof(PATHS_METRICS) + 1];
	struct error ignored = ERROR_INIT;

	return root_readlink(root, path, target, sizeof(target), &ignored) == 0 &&
			       strcmp(target, PATHS_METRICS) == 0
		       ? PATHS_METRICS
		       : path;
}

/* The text up to the times of the poll, which are in its last lines. */
static int write_metrics(struct monitor *monitor, const struct license_report *report,
			 struct error *err)
{
	const struct context *ctx = monitor->ctx;
	const struct root *root = context_root_of(ctx, "monitor.metrics_file");
	const char *path = ctx->settings.monitor.metrics_file;
	struct metrics metrics = {
		.report = report,
		.feature_type = ctx->settings.license.feature_type,
		.host_version = monitor->guest->host.version,
		.steps = monitor->state->steps,
		.poll_errors = monitor->poll_errors,
		.gpus = monitor->guest->gpus.count,
		.token_expires = monitor->rotation.expires,
		.reason = monitor->reason_code,
	};
	cleanup_free char *timeless = NULL, *text = NULL;

	last_run_tell(monitor->run, &metrics);
	timeless = metrics_print(&metrics);
	metrics.polled = clock_now();
	text = metrics_print(&metrics);
	if (!timeless || !text)
		return error_set_errno(err, ENOMEM, "printing the metrics");
	if (monitor->metrics && strcmp(timeless, monitor->metrics) == 0 &&
	    metrics.polled - monitor->metrics_at < METRICS_STALE_S)
		return 0;
	if (file_write_atomic(root, metrics_path(root, path), text, strlen(text), 0644,
			      err) < 0)
		return error_prefix(err, "monitor.metrics_file");
	free(monitor->metrics);
	monitor->metrics = take_ptr(timeless);
	monitor->metrics_at = metrics.polled;
	return 0;
}

static int write_status(struct monitor *monitor, const struct license_report *report,
			struct error *err)
{
	cleanup_json struct json *status = NULL;
	bool licensed, changed;

	if (publish_status(monitor->ctx, monitor->guest->gpus.count, report,
			   &monitor->reason, &status, &licensed) < 0)
		return error_set_errno(err, ENOMEM, "reporting the status");
	monitor->reason_code = report && !licensed ? monitor->reason.reason.code : NULL;
	return announce_files(&monitor->ctx->root, status, licensed, &changed, err);
}

/* Said when it begins to fail, not at each look. */
static void warn_once(bool *failed, int result, const struct error *err)
{
	if (result < 0 && !*failed)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err->text);
	*failed = result < 0;
}

/* The journal last: who reacts to an entry reads the files. */
static void show(struct monitor *monitor, const struct license_report *report,
		 const struct error *why)
{
	const char *words =
		!report ? "the driver gives no answer"
		: license_all_held(report, monitor->guest->gpus.count,
				   monitor->ctx->settings.license.feature_type)
			? "licensed"
			: "not licensed";
	struct error err = ERROR_INIT;

	warn_once(&monitor->status_failed, write_status(monitor, report, &err), &err);
	err = ERROR_INIT;
	if (monitor->ctx->settings.monitor.metrics_file[0])
		warn_once(&monitor->metrics_failed, write_metrics(monitor, report, &err),
			  &err);
	if (strcmp(words, monitor->status_text) != 0) {
		(void)text_copy(monitor->status_text, sizeof(monitor->status_text),
				words);
		(void)sd_notifyf(0, "STATUS=%s", words);
	}
	tell_all(monitor, report, why);
}

/* A driver that is being replaced must not be in use. */
static bool is_changing(struct monitor *monitor)
{
	if (!announce_is_changing(&monitor->ctx->root))
		return false;
	query_close(&monitor->query);
	return true;
}

static int look_once(struct monitor *monitor, struct error *err)
{
	const struct context *ctx = monitor->ctx;
	struct license_report *license = monitor->license;
	struct error why = ERROR_INIT;
	int result;

	if (guest_look_gpus(ctx, monitor->guest, err) < 0)
		return -1;
	result = query_license(&monitor->query, ctx->settings.monitor.backend,
			       ctx->runner, &ctx->root, license, &why);
	if (why.interrupted) {
		*err = why;
		return -1;
	}
	if (result == 0 && license->count < monitor->guest->gpus.count)
		result = error_set(&why, ERROR_DRIVER,
				   "the driver shows %zu of the %zu GPUs on the PCI bus",
				   license->count, monitor->guest->gpus.count);
	if (result < 0)
		monitor->poll_errors++;
	/* The first failure may be a moment of a restart: what was seen stays so long. */
	if (result == 0 || monitor->failed || !monitor->memory.known)
		show(monitor, result == 0 ? license : NULL, &why);
	monitor->failed = result < 0;
	return 0;
}

static double next_look_s(const struct monitor *monitor)
{
	int64_t most = monitor->ctx->settings.monitor.interval;

	if (monitor->failed && !monitor->memory.silent && most > SILENT_AGAIN_S)
		most = SILENT_AGAIN_S;
	return (double)event_next(&monitor->memory, clock_now(), most);
}

static int look(struct monitor *monitor, struct error *err)
{
	double now;

	watch_refresh(&monitor->watch, &monitor->ctx->root);
	if (!is_changing(monitor) && !sealed_is(&monitor->ctx->root) &&
	    look_once(monitor, err) < 0)
		return -1;
	now = clock_monotonic();
	monitor->last_look = now;
	monitor->next_look = now + next_look_s(monitor);
	if (monitor->next_look < now + CALM_S)
		monitor->next_look = now + CALM_S;
	return 0;
}

/* What a run has just done. One that cannot be read is as it was. */
static void reload_state(struct monitor *monitor)
{
	struct error ignored = ERROR_INIT;
	struct state state;

	json_free(monitor->run);
	monitor->run = last_run_read(&monitor->ctx->root);
	if (state_load(&monitor->ctx->root, &state, &ignored) < 0)
		return;
	state_done(monitor->state);
	*monitor->state = state;
}

static void look_soon(struct monitor *monitor)
{
	double soon = monitor->last_look + CALM_S;

	if (monitor->next_look > soon)
		monitor->next_look = soon;
}

static int look_at_token(struct monitor *monitor, bool metadata, struct error *err)
{
	if (sealed_is(&monitor->ctx->root))
		return 0;
	return token_watch_look(&monitor->rotation, monitor->ctx, metadata, err);
}

static int prepare(struct monitor *monitor, struct error *err)
{
	const char *file = monitor->ctx->settings.license.token_file;
	const char *slash = strrchr(file, '/');
	char folder[256], tokens[TOKEN_FOLDER_MAX];
	uint64_t watchdog_us = 0;

	token_folder(&monitor->ctx->root, tokens);
	if (watch_open(&monitor->watch, err) < 0 ||
	    watch_add(&monitor->watch, PATHS_NVIDIA, "gridd.conf", MARK_LOOK, err) < 0 ||
	    watch_add(&monitor->watch, tokens, NULL, MARK_LOOK | MARK_TOKEN, err) < 0 ||
	    watch_add(&monitor->watch, "/run", PATHS_CHANGING_NAME,
		      MARK_LOOK | MARK_CHANGING, err) < 0 ||
	    watch_add(&monitor->watch, "/run", PATHS_LAST_RUN_NAME,
		      MARK_LOOK | MARK_STATE, err) < 0 ||
	    watch_add(&monitor->watch, PATHS_STATE, PATHS_STATE_NAME,
		      MARK_LOOK | MARK_STATE, err) < 0)
		return -1;
	if (slash &&
	    text_format(folder, sizeof(folder), "%.*s",
			slash == file ? 1 : (int)(slash - file), file) &&
	    watch_add(&monitor->watch, folder, slash + 1, MARK_TOKEN, err) < 0)
		return -1;

	monitor->run = last_run_read(&monitor->ctx->root);
	monitor->log = gridd_log_follow();
	monitor->query.stays = true;
	if (sd_watchdog_enabled(0, &watchdog_us) > 0)
		monitor->watchdog_s = (double)watchdog_us / 2e6;
	return 0;
}

static double earliest(const struct monitor *monitor)
{
	double when = monitor->next_look;

	if (monitor->next_metadata < when)
		when = monitor->next_metadata;
	if (monitor->watchdog_s > 0 && clock_monotonic() + monitor->watchdog_s < when)
		when = clock_monotonic() + monitor->watchdog_s;
	return when;
}

/* What has happened, as marks; -1 with an error, also when a signal ends it all. */
static int wait_for(struct monitor *monitor, unsigned *ret_marks, struct error *err)
{
	double now = clock_monotonic(), until = earliest(monitor);
	bool hears = now >= monitor->log_after;
	struct pollfd polls[] = {
		{ .fd = monitor->ctx->runner->cancel_fd, .events = POLLIN },
		{ .fd = monitor->watch.fd, .events = POLLIN },
		{ .fd = hears ? gridd_log_fd(monitor->log) : -1, .events = POLLIN },
	};

	if (!hears && monitor->log_after < until)
		until = monitor->log_after;
	if (until < now)
		until = now;
	if (poll(polls, ARRAY_SIZE(polls), (int)((until - now) * 1000) + 1) < 0 &&
	    errno != EINTR)
		return error_set_errno(err, errno, "waiting");
	if (polls[0].revents)
		return error_set_interrupted(err);
	*ret_marks = polls[1].revents ? watch_read(&monitor->watch) : 0;
	if (polls[2].revents) {
		monitor->log_after = clock_monotonic() + JOURNAL_CALM_S;
		if (gridd_log_has_more(monitor->log))
			*ret_marks |= MARK_LOOK;
	}
	return 0;
}

static int turn(struct monitor *monitor, struct error *err)
{
	unsigned marks = 0;
	double now;

	if (wait_for(monitor, &marks, err) < 0)
		return -1;
	if (monitor->watchdog_s > 0)
		(void)sd_notify(0, "WATCHDOG=1");
	if (marks & MARK_CHANGING)
		(void)is_changing(monitor);
	if (marks)
		monitor->reason.until = 0;
	if (marks & MARK_STATE)
		reload_state(monitor);
	if (marks & MARK_LOOK)
		look_soon(monitor);

	now = clock_monotonic();
	if (now >= monitor->next_metadata) {
		monitor->next_metadata =
			now + METADATA_EVERY * monitor->ctx->settings.monitor.interval;
		if (look_at_token(monitor, true, err) < 0)
			return -1;
	} else if (marks & MARK_TOKEN && look_at_token(monitor, false, err) < 0)
		return -1;
	return now >= monitor->next_look ? look(monitor, err) : 0;
}

/* Until a signal, or until it cannot go on. */
static int watch_licenses(struct monitor *monitor, struct error *err)
{
	if (prepare(monitor, err) < 0 || look(monitor, err) < 0 ||
	    look_at_token(monitor, false, err) < 0)
		return -1;
	/* What root did at boot has just asked the metadata. */
	monitor->next_metadata =
		clock_monotonic() + monitor->ctx->settings.monitor.interval;
	(void)sd_notify(0, "READY=1");
	while (turn(monitor, err) == 0)
		;
	return -1;
}

int command_monitor(struct agent *agent, const struct request *request,
		    struct json **ret_report, struct error *err)
{
	/* Its memory of 64 GPUs is too large for the stack. */
	static struct monitor monitor;
	const struct context *ctx = &agent->context;
	int result;

	(void)request;
	(void)ret_report;
	if (context_need_system(ctx, "monitor watches a running guest", err) < 0)
		return -1;
	/* nvidia-smi's output may take megabytes for a moment, and never stays. */
	(void)mallopt(M_MMAP_THRESHOLD, HEAP_LARGEST);
	monitor = (struct monitor){ .ctx = ctx,
				    .guest = &agent->guest,
				    .state = &agent->state,
				    .license = &agent->lease.report,
				    .query = QUERY_INIT,
				    .watch = WATCH_INIT };
	if (guest_look_gpus(ctx, monitor.guest, err) < 0)
		return -1;
	guest_adopt_feature_type(ctx, monitor.guest, &agent->context.settings);
	if (guest_need_gpu(ctx, monitor.guest, err) < 0) {
		/* Nothing is wrong: the unit has started, and is done. */
		(void)sd_notify(0, "READY=1");
		return -1;
	}
	result = watch_licenses(&monitor, err);
	(void)sd_notify(0, "STOPPING=1");
	monitor_done(&monitor);
	return result;
}
