/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Runs the steps of a command in order, says each one's line, and keeps its record. Which
 * steps there are, and what each gets, stands in commands/run.c.
 */

#include "base/json.h"
#include "core/context.h"
#include "core/state.h"
#include "model/outcome.h"

#define PIPELINE_STEPS_MAX 32 /* also of those that are done again */

struct pipeline_report {
	size_t count;
	struct outcome outcomes[PIPELINE_STEPS_MAX];
	double began; /* of the monotonic clock */
	/* What worked beside the steps: seconds after the beginning, how long it took,
	 * and how long it was waited for. All 0: nothing did. */
	double beside_began, beside_seconds, beside_waited;
};

struct pipeline_step {
	const char *name;
	/* Fills the outcome's kind (it is OUTCOME_UNCHANGED), detail and warning; what it
	 * could not do another way is done from the step `again` on. */
	int (*run)(void *subject, struct outcome *outcome, struct error *err);
	unsigned jobs; /* of which jobs it is a part */
	bool online;   /* skipped during an image build */
};

struct pipeline {
	const struct context *ctx;
	const struct pipeline_step *steps;
	size_t count;
	void *subject;       /* what each step's function gets: only it knows the type */
	struct state *state; /* gets the record of each step that did something */
};

/*
 * Runs the steps of ctx->job and stops at the first failure: its outcome says so, later
 * ones are absent. ctx->tools->step is then the step that failed; for seal and uninstall,
 * whose steps have no name in the contract, it stays the command's, and the state gets no
 * record. `ret_report` is filled in on failure, too.
 */
must_check int pipeline_run(const struct pipeline *pipeline,
			    struct pipeline_report *ret_report, struct error *err);

/* Keeps how the run ended (`result`, `error`), for `status`; see state_end(). */
void pipeline_note_end(const struct context *ctx, struct state *state, int result,
		       const struct error *error, const struct json *warnings);

/*
 * The contract's {"schema":1,"steps":[...]}, with "critical": the names of what the run
 * waited for, in order, and "beside": what worked meanwhile. NULL when memory is out.
 */
struct json *pipeline_report_json(const struct pipeline_report *report);
