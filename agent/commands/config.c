/* SPDX-License-Identifier: Apache-2.0 */

/*
 * config show, config check: the configuration in force.
 */

#include <errno.h>

#include "commands/commands.h"

int command_config_show(struct agent *agent, const struct request *request,
			struct json **ret_report, struct error *err)
{
	(void)request;
	*ret_report = json_build("{s:i, s:o}", "schema", 1, "settings",
				 settings_json(&agent->context.settings));
	return *ret_report ? 0
			   : error_set_errno(err, ENOMEM, "showing the configuration");
}

int command_config_check(struct agent *agent, const struct request *request,
			 struct json **ret_report, struct error *err)
{
	(void)agent;
	(void)request;
	*ret_report = json_build("{s:i, s:b}", "schema", 1, "valid", 1);
	return *ret_report ? 0 : error_set_errno(err, ENOMEM, "checking");
}
