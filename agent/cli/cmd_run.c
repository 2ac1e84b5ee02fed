/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cmd.h"

int cmd_run_report(const struct pipeline_report *report, int result,
		   struct json **ret_report, struct error *err)
{
	*ret_report = pipeline_report_json(report);
	if (!*ret_report && result == 0)
		return error_set_errno(err, ENOMEM, "reporting the steps");
	return result;
}

int cmd_run_job(struct agent *agent, enum agent_job job, struct json **ret_report,
		struct error *err)
{
	struct pipeline_report report = { 0 };
	int result = pipeline_run(agent, job, &report, err);

	return cmd_run_report(&report, result, ret_report, err);
}

CMD_RUN(cmd_run)
{
	(void)args;
	return cmd_run_job(agent, AGENT_RUN, ret_report, err);
}

/* The lines were said while the steps ran; what is left is the end of the story. */
CMD_PRINT(cmd_run_print)
{
	const struct json *steps = json_get(report, "steps");
	size_t changed = 0;

	(void)args;
	for (size_t i = 0; i < json_count(steps); i++) {
		const char *outcome = json_get_string(json_at(steps, i), "outcome");

		if (outcome && strcmp(outcome, "failed") == 0)
			return;
		changed += outcome && strcmp(outcome, "changed") == 0;
	}
	if (changed == 0)
		(void)puts("Nothing to do.");
	else
		(void)printf("Done: %zu step%s changed something.\n", changed,
			     changed == 1 ? "" : "s");
}
