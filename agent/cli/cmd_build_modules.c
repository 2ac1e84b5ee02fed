/* SPDX-License-Identifier: Apache-2.0 */

#include "cli/cmd.h"
#include "commands/build_modules.h"

CMD_RUN(cmd_build_modules)
{
	struct pipeline_report report = { 0 };
	int result;

	if (args->agent.kernel_count != 1 || !args->output) {
		(void)error_set(err, ERROR_USAGE, "one --kernel and --output are needed");
		return error_hint(err, "vgpu-guest-agent build-modules --kernel REL "
				       "--driver FILE --output FILE");
	}
	result = command_build_modules(agent, args->output, &report, err);
	return cmd_run_report(&report, result, ret_report, err);
}
