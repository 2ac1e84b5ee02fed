/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The whole job, and what other commands share of it.
 */

#include "commands/agent.h"
#include "core/pipeline.h"

/*
 * Runs the steps of `job` and answers with their report, also on failure. What was begun
 * beside the steps is ended.
 */
must_check int command_run_job(struct agent *agent, enum job job,
			       struct pipeline_report *ret_report, struct error *err);

/* The job of `token install`, after a look at the guest, with its report. */
must_check int command_run_token(struct agent *agent, struct json **ret_report,
				 struct error *err);

/* Runs a list of the command's own, each step with `subject`. */
must_check int command_run_list(struct agent *agent, const struct pipeline_step *steps,
				size_t count, void *subject, struct json **ret_report,
				struct error *err);

/*
 * Steps that other lists have, too; `subject` is the agent. The guest must have been
 * looked at where a list begins with match. The job is agent->context.job.
 */
must_check int command_run_detect(void *subject, struct outcome *outcome,
				  struct error *err);
must_check int command_run_match(void *subject, struct outcome *outcome,
				 struct error *err);
must_check int command_run_fetch(void *subject, struct outcome *outcome,
				 struct error *err);
must_check int command_run_unpack(void *subject, struct outcome *outcome,
				  struct error *err);
must_check int command_run_metadata(void *subject, struct outcome *outcome,
				    struct error *err);
