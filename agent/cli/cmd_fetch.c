/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "cli/cmd.h"
#include "commands/fetch.h"

CMD_RUN(cmd_fetch)
{
	return command_fetch(agent, args->output ? args->output : ".", ret_report, err);
}

CMD_PRINT(cmd_fetch_print)
{
	const char *path = json_get_string(report, "path");

	(void)args;
	if (path)
		(void)puts(path);
}
