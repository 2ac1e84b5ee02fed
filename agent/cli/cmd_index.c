/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "cli/cmd.h"
#include "commands/index.h"

CMD_RUN(cmd_index)
{
	if (args->operand_count == 0)
		return error_set(err, ERROR_USAGE, "which files?");
	return command_index(agent, args->operands, args->operand_count, args->previous,
			     ret_report, err);
}

/* The document is for the repository: people get its bytes, too. */
CMD_PRINT(cmd_index_print)
{
	cleanup_free char *text = json_print(report);

	(void)args;
	if (text)
		(void)puts(text);
}
