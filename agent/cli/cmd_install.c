/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/cmd.h"

CMD_RUN(cmd_install)
{
	(void)args;
	return cmd_run_job(agent, AGENT_INSTALL, ret_report, err);
}
