/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The run of the agent from bare guest to licensed guest, as one straight list. The
 * file to read first.
 */

#include "base/json.h"
#include "commands/agent.h"
#include "model/outcome.h"

#define PIPELINE_STEPS_MAX 16

struct pipeline_report {
	size_t count;
	struct outcome outcomes[PIPELINE_STEPS_MAX];
	double prepare_began; /* what worked beside the steps; its end was waited for */
	double prepare_seconds, prepare_waited;
};

struct pipeline_step {
	const char *name;
	int (*run)(struct agent *agent, struct outcome *outcome, struct error *err);
	unsigned jobs;                       /* of which jobs it is a part */
	bool online;                         /* skipped during an image build */
	void (*beside)(struct agent *agent); /* what works beside it and later ones */
};

/*
 * Runs the steps of one job in order and stops at the first failure: its outcome says
 * so, later ones are pending. agent->step is then the step that failed. Each
 * step's line goes to the log and the journal, its record to the state.
 */
must_check int pipeline_run(struct agent *agent, enum agent_job job,
			    struct pipeline_report *ret_report, struct error *err);

/*
 * The same for a list of its own, for the commands that take away what the others put in
 * place: agent->step stays the command's name, and the state gets no record.
 */
must_check int pipeline_run_list(struct agent *agent, enum agent_job job,
				 const struct pipeline_step *list, size_t count,
				 struct pipeline_report *ret_report, struct error *err);

/*
 * The contract's {"schema":1,"steps":[...]}, with "critical": the names of what the run
 * waited for, in order, and "beside": what worked meanwhile. NULL when memory is out.
 */
struct json *pipeline_report_json(const struct pipeline_report *report);
