/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pipeline.h"

#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/critical.h"
#include "core/journal.h"
#include "steps/detect/denied.h"

#define NAME_WIDTH 9 /* of "configure", the longest name of a run's steps */
#define TAKES_AWAY (JOB_SEAL | JOB_UNINSTALL)

/* What follows the names begins in one column. */
static int name_width(const struct pipeline *pipeline)
{
	size_t width = NAME_WIDTH;

	for (size_t i = 0; i < pipeline->count; i++) {
		const struct pipeline_step *step = &pipeline->steps[i];

		if (step->jobs & pipeline->ctx->job && strlen(step->name) > width)
			width = strlen(step->name);
	}
	return (int)width;
}

/* One line per step; of a service only what tells whoever watches the boot something. */
static void say_line(const struct pipeline *pipeline, const struct outcome *outcome)
{
	enum log_level level = outcome->kind == OUTCOME_SKIPPED ? LOG_LEVEL_INFO
								: LOG_LEVEL_NOTICE;
	char line[384];

	(void)text_format(line, sizeof(line), "%-*s  %-9s %6.1f s  %s",
			  name_width(pipeline), outcome->step,
			  outcome_kind_name(outcome->kind), outcome->seconds,
			  outcome->detail);
	if (!journal_is_stderr())
		log_line(level, "%s", line);
	else if (outcome->kind == OUTCOME_CHANGED ||
		 strcmp(outcome->step, "license") == 0)
		journal_console(line);
}

static void say_outcome(const struct pipeline *pipeline, const struct outcome *outcome,
			const struct error *error)
{
	log_progress_end();
	if (outcome->kind != OUTCOME_FAILED)
		say_line(pipeline, outcome);
	if (outcome->warning[0])
		log_line(LOG_LEVEL_WARNING, "warning: %s: %s", outcome->step,
			 outcome->warning);
	journal_step(outcome, error);
}

/* The state is a record, not the work: where it cannot be written, the work still counts.
 */
static void note_step(const struct pipeline *pipeline, const struct outcome *outcome)
{
	struct error err = ERROR_INIT;

	if (outcome->kind != OUTCOME_CHANGED && outcome->kind != OUTCOME_FAILED)
		return;
	if (state_note(pipeline->state, outcome, &err) < 0 ||
	    state_save(&pipeline->ctx->root, pipeline->state, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}

static int run_step(const struct pipeline *pipeline, const struct pipeline_step *step,
		    struct outcome *outcome, struct error *err)
{
	const struct context *ctx = pipeline->ctx;
	double begin = clock_monotonic();
	int result;

	if (!(ctx->job & TAKES_AWAY))
		ctx->tools->step = step->name;
	outcome->kind = OUTCOME_UNCHANGED;
	result = step->run(pipeline->subject, outcome, err);
	outcome->seconds = clock_monotonic() - begin;

	if (result < 0) {
		if (!ctx->offline)
			denied_explain(&ctx->root, err);
		outcome->kind = OUTCOME_FAILED;
		(void)text_copy(outcome->detail, sizeof(outcome->detail), err->text);
	}
	say_outcome(pipeline, outcome, result < 0 ? err : NULL);
	if (!(ctx->job & (JOB_APART | TAKES_AWAY)))
		note_step(pipeline, outcome);
	return result;
}

/* The place of the step after this outcome of the step at `i`. */
static size_t next_step(const struct pipeline *pipeline, size_t i,
			const struct outcome *outcome)
{
	for (size_t k = 0; outcome->again && k < i; k++) {
		if (strcmp(pipeline->steps[k].name, outcome->again) == 0)
			return k;
	}
	return i + 1;
}

int pipeline_run(const struct pipeline *pipeline, struct pipeline_report *ret_report,
		 struct error *err)
{
	size_t i = 0;

	*ret_report = (struct pipeline_report){ .began = clock_monotonic() };
	while (i < pipeline->count) {
		const struct pipeline_step *step = &pipeline->steps[i];
		struct outcome *outcome = &ret_report->outcomes[ret_report->count];

		if (!(step->jobs & pipeline->ctx->job)) {
			i++;
			continue;
		}
		if (ret_report->count == PIPELINE_STEPS_MAX)
			return error_set(err, ERROR_INTERNAL, "too many steps");
		*outcome = (struct outcome){ .step = step->name };
		ret_report->count++;

		outcome->began = clock_monotonic() - ret_report->began;
		if (step->online && pipeline->ctx->offline)
			outcome_skip(outcome, "offline");
		else if (run_step(pipeline, step, outcome, err) < 0)
			return -1;
		i = next_step(pipeline, i, outcome);
	}
	return 0;
}

void pipeline_note_end(const struct context *ctx, struct state *state, int result,
		       const struct error *error, const struct json *warnings)
{
	const char *failed = result < 0 ? ctx->tools->step : NULL;
	struct error err = ERROR_INIT;
	bool news = false;

	if (state_end(state, failed, error, warnings, &news, &err) < 0 ||
	    (news && state_save(&ctx->root, state, &err) < 0))
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}

struct json *pipeline_report_json(const struct pipeline_report *report)
{
	struct json *list = json_build("[]");

	for (size_t i = 0; list && i < report->count; i++) {
		const struct outcome *outcome = &report->outcomes[i];

		if (json_append(list, json_build("{s:s, s:s, s:o, s:f, s:f}", "step",
						 outcome->step, "outcome",
						 outcome_kind_name(outcome->kind),
						 "detail", json_words(outcome->detail),
						 "began", outcome->began, "seconds",
						 outcome->seconds)) < 0) {
			json_free(list);
			list = NULL;
		}
	}
	return json_build("{s:i, s:o, s:o, s:o}", "schema", 1, "steps", list, "critical",
			  critical_names(report), "beside", critical_beside(report));
}
