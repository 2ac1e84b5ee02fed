/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pipeline.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/critical.h"
#include "core/guest.h"
#include "core/journal.h"
#include "driver/modules.h"
#include "driver/obtain.h"
#include "driver/toolchain_ahead.h"
#include "license/licensing.h"
#include "license/publish.h"

#define ALL (AGENT_RUN | AGENT_INSTALL | AGENT_CONFIGURE | AGENT_FETCH)
#define DRIVER (AGENT_RUN | AGENT_INSTALL | AGENT_FETCH)
#define SYSTEM (AGENT_RUN | AGENT_INSTALL)
#define LICENSE (AGENT_RUN | AGENT_CONFIGURE)
#define TOKEN (LICENSE | AGENT_TOKEN)
#define TAKES_AWAY (AGENT_SEAL | AGENT_UNINSTALL)

/*
 * The configuration comes before this list, the report after it. What stands last in a
 * line works beside that step and those after it, until one waits for it.
 */
static const struct pipeline_step steps[] = {
	{ "detect", guest_detect, ALL, false },    /* PCI, kernels -> gpus, host */
	{ "metadata", guest_metadata, ALL, true }, /* drive, service -> settings */
	{ "match", obtain_match, DRIVER, false },  /* host, repository -> package */
	{ "fetch", obtain_fetch, DRIVER, false,
	  toolchain_ahead_begin },                    /* package -> file */
	{ "unpack", obtain_unpack, DRIVER, false },   /* file -> tree */
	{ "build", obtain_build, SYSTEM, false },     /* tree, kernel -> modules */
	{ "install", obtain_install, SYSTEM, false }, /* modules, tree -> driver */
	{ "configure", licensing_configure, LICENSE, false }, /* settings -> gridd.conf */
	{ "token", licensing_token, TOKEN, false },           /* metadata, file -> .tok */
	{ "gridd", licensing_gridd, TOKEN, true },            /* changes -> restart */
	{ "license", licensing_license, AGENT_RUN, true },    /* nvidia-smi -> Licensed */
};
_Static_assert(ARRAY_SIZE(steps) <= PIPELINE_STEPS_MAX, "the report has room");

/* One line per step; of a service only what tells whoever watches the boot something. */
static void say_line(const struct outcome *outcome)
{
	enum log_level level = outcome->kind == OUTCOME_SKIPPED ? LOG_LEVEL_INFO
								: LOG_LEVEL_NOTICE;
	char line[384];

	(void)text_format(line, sizeof(line), "%-9s  %-9s %6.1f s  %s", outcome->step,
			  outcome_kind_name(outcome->kind), outcome->seconds,
			  outcome->detail);
	if (!journal_is_stderr())
		log_line(level, "%s", line);
	else if (outcome->kind == OUTCOME_CHANGED ||
		 strcmp(outcome->step, "license") == 0)
		journal_console(line);
}

static void say(const struct outcome *outcome, const struct error *error)
{
	log_progress_end();
	if (outcome->kind != OUTCOME_FAILED)
		say_line(outcome);
	if (outcome->warning[0])
		log_line(LOG_LEVEL_WARNING, "warning: %s: %s", outcome->step,
			 outcome->warning);
	journal_step(outcome, error);
}

/* The state is a record, not the work: where it cannot be written, the work still counts.
 */
static void note(struct agent *agent, const struct outcome *outcome)
{
	struct error err = ERROR_INIT;

	if (outcome->kind != OUTCOME_CHANGED && outcome->kind != OUTCOME_FAILED)
		return;
	if (state_note(&agent->state, outcome, &err) < 0 ||
	    state_save(&agent->root, &agent->state, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}

static int run_step(struct agent *agent, const struct pipeline_step *step,
		    struct outcome *outcome, struct error *err)
{
	double begin = clock_monotonic();
	int result;

	if (!(agent->job & TAKES_AWAY))
		agent->step = step->name;
	outcome->kind = OUTCOME_UNCHANGED;
	result = step->run(agent, outcome, err);
	outcome->seconds = clock_monotonic() - begin;

	if (result < 0) {
		outcome->kind = OUTCOME_FAILED;
		(void)text_copy(outcome->detail, sizeof(outcome->detail), err->text);
	}
	say(outcome, result < 0 ? err : NULL);
	if (!(agent->job & (AGENT_APART | TAKES_AWAY)))
		note(agent, outcome);
	return result;
}

/*
 * A package manager that was started is not left behind, and not cut off because another
 * step failed: the next run then has what it needs.
 */
static void end_beside(struct agent *agent, double begin, struct pipeline_report *report)
{
	const struct beside *beside = &agent->preparing;
	struct error ignored = ERROR_INIT;

	if (toolchain_ahead_end(agent, &ignored) < 0)
		log_line(LOG_LEVEL_DEBUG, "preparing the build: %s", ignored.text);
	if (beside->began <= 0)
		return;
	report->prepare_began = beside->began - begin;
	report->prepare_seconds = beside->seconds;
	report->prepare_waited = beside->waited;
}

/* Of a run that did something, for whoever asks later where its time went. */
static void note_critical(struct agent *agent, const struct pipeline_report *report)
{
	struct error err = ERROR_INIT;
	bool changed = false;

	for (size_t i = 0; i < report->count; i++)
		changed |= report->outcomes[i].kind == OUTCOME_CHANGED;
	if (!(agent->job & SYSTEM) || !changed)
		return;
	json_free(agent->state.critical);
	agent->state.critical = critical_names(report);
	if (state_save(&agent->root, &agent->state, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}

int pipeline_run_list(struct agent *agent, enum agent_job job,
		      const struct pipeline_step *list, size_t count,
		      struct pipeline_report *ret_report, struct error *err)
{
	double begin = clock_monotonic();
	int result = 0;

	*ret_report = (struct pipeline_report){ 0 };
	agent->job = job;

	for (size_t i = 0; i < count && result == 0; i++) {
		struct outcome *outcome = &ret_report->outcomes[ret_report->count];

		if (!(list[i].jobs & job))
			continue;
		*outcome = (struct outcome){ .step = list[i].name };
		ret_report->count++;

		outcome->began = clock_monotonic() - begin;
		if (list[i].online && agent->offline) {
			outcome->kind = OUTCOME_SKIPPED;
			(void)snprintf(outcome->detail, sizeof(outcome->detail),
				       "offline");
			continue;
		}
		if (list[i].beside)
			list[i].beside(agent);
		if (run_step(agent, &list[i], outcome, err) < 0) {
			if (job & SYSTEM && agent->tree_is_whole)
				modules_discard(agent);
			result = -1;
		}
	}

	end_beside(agent, begin, ret_report);
	note_critical(agent, ret_report);
	return result;
}

/* For `status`: a driver that is not there cannot say why. */
static void note_end(struct agent *agent, int result, const struct error *error)
{
	const char *failed = result < 0 ? agent->step : NULL;
	struct error err = ERROR_INIT;
	bool news = false;

	if (state_end(&agent->state, failed, error, agent->metadata.warnings, &news,
		      &err) < 0 ||
	    (news && state_save(&agent->root, &agent->state, &err) < 0))
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}

int pipeline_run(struct agent *agent, enum agent_job job,
		 struct pipeline_report *ret_report, struct error *err)
{
	int result =
		pipeline_run_list(agent, job, steps, ARRAY_SIZE(steps), ret_report, err);

	if (job == AGENT_RUN && !(result < 0 && err->interrupted)) {
		note_end(agent, result, err);
		publish_license(agent);
	}
	return result;
}

struct json *pipeline_report_json(const struct pipeline_report *report)
{
	struct json *list = json_build("[]");

	for (size_t i = 0; list && i < report->count; i++) {
		const struct outcome *outcome = &report->outcomes[i];

		if (json_append(list,
				json_build("{s:s, s:s, s:o, s:f, s:f}", "step",
					   outcome->step, "outcome",
					   outcome_kind_name(outcome->kind), "detail",
					   json_text(outcome->detail,
						     strlen(outcome->detail)),
					   "began", outcome->began, "seconds",
					   outcome->seconds)) < 0) {
			json_free(list);
			list = NULL;
		}
	}
	return json_build("{s:i, s:o, s:o, s:o}", "schema", 1, "steps", list, "critical",
			  critical_names(report), "beside", critical_beside(report));
}
