/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The run of the agent from bare guest to licensed guest, as one straight list: the file
 * to read first. Each step below binds a function of driver/ or license/ to the values
 * that it reads and makes.
 */

#include "commands/run.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "commands/commands.h"
#include "core/config.h"
#include "core/last_run.h"
#include "driver/choose.h"
#include "driver/fallback.h"
#include "driver/modules.h"
#include "driver/obtain.h"
#include "driver/replace.h"
#include "driver/toolchain_ahead.h"
#include "license/licensing.h"
#include "license/publish.h"
#include "steps/license/token.h"
#include "steps/sealed.h"

#define DRIVER (JOB_RUN | JOB_INSTALL)
#define LICENSE (JOB_RUN | JOB_CONFIGURE | JOB_ROTATE)
#define TOKEN (LICENSE | JOB_TOKEN)
#define ALL (DRIVER | LICENSE)

static int step_build(void *subject, struct outcome *outcome, struct error *err);
static int step_install(void *subject, struct outcome *outcome, struct error *err);
static int step_configure(void *subject, struct outcome *outcome, struct error *err);
static int step_token(void *subject, struct outcome *outcome, struct error *err);
static int step_gridd(void *subject, struct outcome *outcome, struct error *err);
static int step_license(void *subject, struct outcome *outcome, struct error *err);

/* The configuration comes before this list, the report after it. */
static const struct pipeline_step steps[] = {
	{ "detect", command_run_detect, ALL, false },    /* PCI, kernels -> guest */
	{ "metadata", command_run_metadata, ALL, true }, /* service -> settings */
	{ "match", command_run_match, DRIVER, false },   /* repository -> work.driver */
	{ "fetch", command_run_fetch, DRIVER, false },   /* driver -> work.file */
	{ "unpack", command_run_unpack, DRIVER, false }, /* file -> work.tree */
	{ "build", step_build, DRIVER, false },          /* tree, kernels -> modules */
	{ "install", step_install, DRIVER, false },      /* work -> system, state */
	{ "configure", step_configure, LICENSE, false }, /* settings -> gridd.conf */
	{ "token", step_token, TOKEN, false },           /* metadata, file -> .tok */
	{ "gridd", step_gridd, TOKEN, true },            /* lease -> daemon */
	{ "license", step_license, JOB_RUN | JOB_ROTATE, true }, /* nvidia-smi -> lease */
};
_Static_assert(ARRAY_SIZE(steps) <= PIPELINE_STEPS_MAX, "the report has room");

int command_run_detect(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;

	if (guest_look(&agent->context, &agent->guest, err) < 0 ||
	    guest_need_gpu(&agent->context, &agent->guest, err) < 0)
		return -1;
	guest_adopt_feature_type(&agent->context, &agent->guest,
				 &agent->context.settings);
	guest_describe(&agent->context, &agent->guest, outcome->detail,
		       sizeof(outcome->detail));
	return 0;
}

/* Warnings of the metadata are for the operator: each one its own line. */
static void say_warnings(const struct json *warnings)
{
	for (size_t i = 0; i < json_count(warnings); i++)
		log_line(LOG_LEVEL_WARNING, "warning: metadata: %s",
			 json_as_string(json_at(warnings, i)));
}

int command_run_metadata(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	struct context *context = &agent->context;
	struct metadata *metadata = &agent->metadata;
	struct error why = ERROR_INIT;

	if (!context->settings.metadata.enabled) {
		outcome_skip(outcome, "metadata.enabled is false");
		return 0;
	}

	if (metadata_read(&context->settings.metadata, &context->root, context->channel,
			  metadata, err) < 0)
		return -1;
	/* plan changes nothing; a record that fails is not the work. */
	if (context->job & ALL && metadata_remember(&context->root, metadata, &why) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: metadata: %s", why.text);
	if (config_assemble(context->options, &context->base, metadata->object,
			    metadata->warnings, &context->settings, err) < 0)
		return -1;

	guest_adopt_feature_type(context, &agent->guest, &context->settings);
	say_warnings(metadata->warnings);
	(void)text_copy(outcome->detail, sizeof(outcome->detail), metadata->detail);
	return 0;
}

static void describe_match(const struct match *match, struct outcome *outcome)
{
	const char *version = match->package.version;

	if (match->rule == MATCH_INSTALLED)
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "driver %s is installed", version);
	else
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "driver %s by rule \"%s\": %.160s",
				  version[0] ? version : "of the URL",
				  match_rule_name(match->rule), match->package.name);
	(void)text_copy(outcome->warning, sizeof(outcome->warning), match->warning);
}

/* What was taken back by hand would come again by itself. */
static void warn_of_upgrade(const struct context *ctx, const struct state *state,
			    struct outcome *outcome)
{
	if (ctx->settings.driver.upgrade)
		(void)text_format(outcome->warning, sizeof(outcome->warning),
				  "driver.upgrade is true: the next run installs %s "
				  "again, unless it is set to false",
				  state->driver.version);
}

static int go_back(struct agent *agent, struct outcome *outcome, struct error *err)
{
	const struct context *ctx = &agent->context;

	if (choose_previous(ctx, &agent->state, &agent->work, outcome->detail,
			    sizeof(outcome->detail), err) < 0)
		return -1;
	warn_of_upgrade(ctx, &agent->state, outcome);
	return choose_refuse_obstacles(ctx, &agent->state, &agent->work, err);
}

/* Also where a driver that did not compile makes way for another one. */
static void begin_work(struct agent *agent)
{
	struct beside ahead = agent->work.ahead;

	work_done(&agent->work);
	work_begin(&agent->context, &agent->guest, &agent->work);
	agent->work.ahead = ahead;
}

int command_run_match(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	struct work *work = &agent->work;

	begin_work(agent);
	if (ctx->options->previous)
		return go_back(agent, outcome, err);
	if (choose_cut_off(ctx, &agent->state, work, outcome->detail,
			   sizeof(outcome->detail)))
		return 0;
	if (choose_driver(ctx, &agent->state, &agent->repository, false, work, err) < 0)
		return -1;
	describe_match(&work->match, outcome);
	/* Said before anything is fetched for it. */
	if (choose_refuse_obstacles(ctx, &agent->state, work, err) < 0)
		return -1;
	return modules_foresee(ctx, &agent->repository, work, err);
}

int command_run_fetch(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;

	toolchain_ahead_begin(&agent->context, &agent->repository, &agent->work);
	return obtain_fetch(&agent->context, &agent->repository, &agent->work, outcome,
			    err);
}

static struct replace replace_of(struct agent *agent)
{
	return (struct replace){ .ctx = &agent->context,
				 .state = &agent->state,
				 .repository = &agent->repository,
				 .lease = &agent->lease };
}

/* What an earlier run left to finish is not tried for ever. */
static int abandon(struct agent *agent, const struct error *err)
{
	const struct replace replace = replace_of(agent);

	replace_abandon(&replace, &agent->work, err);
	return -1;
}

int command_run_unpack(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	struct work *work = &agent->work;

	if (obtain_take_out(ctx, &agent->repository, work, outcome, err) < 0)
		return -1;
	if (ctx->job & JOB_APART || work_keeps_installed(work) ||
	    work->driver.kind != PACKAGE_RUN)
		return 0;
	return modules_unpack(ctx, work, err) < 0 ? abandon(agent, err) : 0;
}

/* What does not compile for this kernel makes way for the next version that fits. */
static int give_way(struct agent *agent, struct outcome *outcome, struct error *err)
{
	char next[VERSION_MAX];

	if (!fallback_next(&agent->context, &agent->state, &agent->repository,
			   &agent->work, next, err))
		return -1;
	outcome->kind = OUTCOME_FAILED;
	outcome->again = "match";
	(void)text_copy(outcome->detail, sizeof(outcome->detail), err->text);
	(void)text_format(outcome->warning, sizeof(outcome->warning),
			  "%s: %.160s; going on to %s", agent->work.driver.version,
			  err->text, next);
	*err = ERROR_INIT;
	modules_discard(&agent->context);
	return 0;
}

static int step_build(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	struct work *work = &agent->work;
	const char *version = work->driver.version;

	if (work_look_at_targets(ctx, &agent->guest.installed, version, work, err) < 0)
		return -1;
	if (work_targets_done(work)) {
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "the modules of %s are there", version);
		return 0;
	}

	outcome->kind = OUTCOME_CHANGED;
	if (modules_build(ctx, &agent->state, &agent->repository, work, outcome, err) ==
	    0)
		return 0;
	(void)abandon(agent, err);
	return give_way(agent, outcome, err);
}

static int step_install(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct replace replace = replace_of(agent);

	return replace_driver(&replace, &agent->work, outcome, err);
}

static int step_configure(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;

	return licensing_configure(&agent->context, outcome, err);
}

static int step_token(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;

	return licensing_token(&agent->context, &agent->guest, &agent->metadata,
			       &agent->lease, outcome, err);
}

static int step_gridd(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;

	return licensing_gridd(&agent->context, &agent->guest, &agent->lease, outcome,
			       err);
}

static int step_license(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;

	return licensing_license(&agent->context, &agent->guest, &agent->lease, outcome,
				 err);
}

/*
 * A package manager that was started is not left behind, and not cut off because another
 * step failed: the next run then has what it needs.
 */
static void end_ahead(struct agent *agent, struct pipeline_report *report)
{
	const struct beside *ahead = &agent->work.ahead;
	struct error ignored = ERROR_INIT;

	if (toolchain_ahead_end(&agent->context, &agent->work, &ignored) < 0)
		log_line(LOG_LEVEL_DEBUG, "preparing the build: %s", ignored.text);
	if (ahead->began <= 0)
		return;
	report->beside_began = ahead->began - report->began;
	report->beside_seconds = ahead->seconds;
	report->beside_waited = ahead->waited;
}

/* Whether the step that the last run failed in is one that this job has done now. */
static bool covers_trouble(const struct agent *agent)
{
	const char *failed = json_get_string(agent->state.trouble, "step");

	for (size_t i = 0; failed && i < ARRAY_SIZE(steps); i++) {
		if (strcmp(steps[i].name, failed) == 0)
			return (steps[i].jobs & agent->context.job) != 0;
	}
	return true;
}

static void note_end(struct agent *agent, int result, const struct error *err)
{
	pipeline_note_end(&agent->context, &agent->state, result, err,
			  agent->metadata.warnings);
	last_run_write(&agent->context, &agent->guest, agent->lease.token_expires, result,
		       err);
}

/* For `status`, and for who waits for the license. */
static void tell_end(struct agent *agent, int result, const struct error *err)
{
	if (result < 0 && err->interrupted)
		return;
	if (result < 0 || covers_trouble(agent))
		note_end(agent, result, err);
	publish_license(&agent->context, agent->guest.gpus.count, &agent->lease.report);
}

int command_run_job(struct agent *agent, enum job job, struct pipeline_report *ret_report,
		    struct error *err)
{
	const struct pipeline pipeline = { .ctx = &agent->context,
					   .steps = steps,
					   .count = ARRAY_SIZE(steps),
					   .subject = agent,
					   .state = &agent->state };
	int result;

	agent->context.job = job;
	result = pipeline_run(&pipeline, ret_report, err);
	if (result < 0 && job & DRIVER && agent->work.whole)
		modules_discard(&agent->context);
	end_ahead(agent, ret_report);
	if (job & (JOB_RUN | JOB_ROTATE))
		tell_end(agent, result, err);
	return result;
}

/* The report of steps that ended with `result`; it is made on failure, too. */
static int report_steps(const struct pipeline_report *report, int result,
			struct json **ret_report, struct error *err)
{
	*ret_report = pipeline_report_json(report);
	if (!*ret_report && result == 0)
		return error_set_errno(err, ENOMEM, "reporting the steps");
	return result;
}

int command_run_list(struct agent *agent, const struct pipeline_step *list, size_t count,
		     void *subject, struct json **ret_report, struct error *err)
{
	const struct pipeline pipeline = { .ctx = &agent->context,
					   .steps = list,
					   .count = count,
					   .subject = subject,
					   .state = &agent->state };
	struct pipeline_report report = { .count = 0 };
	int result = pipeline_run(&pipeline, &report, err);

	return report_steps(&report, result, ret_report, err);
}

static int run_and_report(struct agent *agent, enum job job, struct json **ret_report,
			  struct error *err)
{
	struct pipeline_report report = { .count = 0 };
	int result;

	/* What a run that was killed has left: a gigabyte, and nobody would miss it. */
	if (job & DRIVER)
		modules_discard(&agent->context);
	result = command_run_job(agent, job, &report, err);
	return report_steps(&report, result, ret_report, err);
}

/* A unit or a hook has nothing to do where seal or uninstall was told to take away. */
static bool is_held(const struct agent *agent, const struct request *request)
{
	if (!request->options.unattended || !sealed_is(&agent->context.root))
		return false;
	log_line(LOG_LEVEL_NOTICE,
		 "this guest is sealed: nothing is done until the next boot or "
		 "\"vgpu-guest-agent run\"");
	return true;
}

int command_run(struct agent *agent, const struct request *request,
		struct json **ret_report, struct error *err)
{
	const struct context *ctx = &agent->context;

	if (is_held(agent, request))
		return report_steps(&(struct pipeline_report){ 0 }, 0, ret_report, err);
	if (!request->options.unattended && !ctx->offline &&
	    (token_set_by_hand(&ctx->root, false, err) < 0 ||
	     sealed_end(ctx->runner, &ctx->root, err) < 0))
		return -1;
	return run_and_report(agent, request->token_only ? JOB_ROTATE : JOB_RUN,
			      ret_report, err);
}

int command_run_install(struct agent *agent, const struct request *request,
			struct json **ret_report, struct error *err)
{
	const struct settings *settings = &agent->context.settings;

	/* --driver is driver.url of the command line. */
	if (request->options.previous && settings->driver_layer == SETTINGS_COMMAND &&
	    (settings->driver.url[0] || settings->driver.version[0])) {
		(void)error_set(
			err, ERROR_USAGE,
			"--previous names the driver, and so does another option");
		return error_hint(err, "leave one of them out");
	}
	if (is_held(agent, request))
		return report_steps(&(struct pipeline_report){ 0 }, 0, ret_report, err);
	return run_and_report(agent, JOB_INSTALL, ret_report, err);
}

int command_run_configure(struct agent *agent, const struct request *request,
			  struct json **ret_report, struct error *err)
{
	(void)request;
	return run_and_report(agent, JOB_CONFIGURE, ret_report, err);
}

int command_run_token(struct agent *agent, struct json **ret_report, struct error *err)
{
	if (guest_look(&agent->context, &agent->guest, err) < 0)
		return -1;
	return run_and_report(agent, JOB_TOKEN, ret_report, err);
}
