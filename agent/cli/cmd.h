/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the command table calls: each command's work, and its report as text for people.
 * The report is the JSON object of the contract, the one source of both forms.
 */

#include "base/json.h"
#include "cli/args.h"
#include "core/pipeline.h"

#define CMD_RUN(name)                                                                    \
	int name(struct agent *agent, const struct args *args, struct json **ret_report, \
		 struct error *err)
#define CMD_PRINT(name) void name(const struct json *report, const struct args *args)

/* A string of a report; "" where it has none. */
static inline const char *cmd_word(const struct json *object, const char *key)
{
	const char *text = json_get_string(object, key);

	return text ? text : "";
}

CMD_RUN(cmd_detect);
CMD_RUN(cmd_plan);
CMD_RUN(cmd_run);
/* One job of the pipeline, and its report: what run and its parts share. */
must_check int cmd_run_job(struct agent *agent, enum agent_job job,
			   struct json **ret_report, struct error *err);

/* The report of steps that ended with `result`; it is made on failure, too. */
must_check int cmd_run_report(const struct pipeline_report *report, int result,
			      struct json **ret_report, struct error *err);

CMD_RUN(cmd_fetch);
CMD_RUN(cmd_install);
CMD_RUN(cmd_build_modules);
CMD_RUN(cmd_index);
CMD_RUN(cmd_configure);
CMD_RUN(cmd_token_check);
CMD_RUN(cmd_token_install);
CMD_RUN(cmd_status);
CMD_RUN(cmd_validate);
CMD_RUN(cmd_doctor);
CMD_RUN(cmd_monitor);
CMD_RUN(cmd_config_show);
CMD_RUN(cmd_config_check);
CMD_RUN(cmd_seal);
CMD_RUN(cmd_uninstall);

CMD_PRINT(cmd_detect_print);
CMD_PRINT(cmd_plan_print);
CMD_PRINT(cmd_run_print); /* also of whatever else answers with steps */
CMD_PRINT(cmd_fetch_print);
CMD_PRINT(cmd_index_print);
CMD_PRINT(cmd_token_check_print);
CMD_PRINT(cmd_status_print);
CMD_PRINT(cmd_validate_print);
CMD_PRINT(cmd_doctor_print);
CMD_PRINT(cmd_monitor_print);
CMD_PRINT(cmd_config_show_print);
CMD_PRINT(cmd_config_check_print);
