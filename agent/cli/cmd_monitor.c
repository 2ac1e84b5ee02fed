/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/cmd.h"
#include "commands/monitor.h"

CMD_RUN(cmd_monitor)
{
	(void)args;
	(void)ret_report;
	return command_monitor(agent, err);
}

/* It reports by files and the journal. */
CMD_PRINT(cmd_monitor_print)
{
	(void)report;
	(void)args;
}
