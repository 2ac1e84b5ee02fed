/* SPDX-License-Identifier: Apache-2.0 */

#include <errno.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "model/settings.h"

CMD_RUN(cmd_config_show)
{
	(void)args;
	*ret_report = json_build("{s:i, s:o}", "schema", 1, "settings",
				 settings_json(&agent->settings));
	return *ret_report ? 0
			   : error_set_errno(err, ENOMEM, "showing the configuration");
}

static bool print_setting(void *context, const char *key, const struct json *setting)
{
	const struct args *args = context;
	cleanup_free char *value = json_print(json_get(setting, "value"));

	if (args->origin)
		(void)printf("%-28s = %-24s # %s\n", key, value ? value : "",
			     cmd_word(setting, "origin"));
	else
		(void)printf("%-28s = %s\n", key, value ? value : "");
	return true;
}

CMD_PRINT(cmd_config_show_print)
{
	struct args copy = *args;

	json_each(json_get(report, "settings"), print_setting, &copy);
}

/* Opening the agent has checked it: getting here is the answer. */
CMD_RUN(cmd_config_check)
{
	(void)agent;
	(void)args;
	*ret_report = json_build("{s:i, s:b}", "schema", 1, "valid", 1);
	return *ret_report ? 0 : error_set_errno(err, ENOMEM, "checking");
}

CMD_PRINT(cmd_config_check_print)
{
	(void)report;
	(void)args;
	(void)puts("The configuration is valid.");
}
