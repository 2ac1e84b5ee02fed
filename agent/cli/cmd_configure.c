/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/cmd.h"

CMD_RUN(cmd_configure)
{
	(void)args;
	return cmd_run_job(agent, AGENT_CONFIGURE, ret_report, err);
}
