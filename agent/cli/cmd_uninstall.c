/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/cmd.h"
#include "commands/uninstall.h"

CMD_RUN(cmd_uninstall)
{
	struct pipeline_report report = { 0 };
	int result = command_uninstall(agent, &report, err);

	(void)args;
	return cmd_run_report(&report, result, ret_report, err);
}
