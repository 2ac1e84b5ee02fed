/* SPDX-License-Identifier: Apache-2.0 */

/*
 * token check: what is in a token, and what is wrong with it. token install: put in
 * place.
 */

#include <errno.h>
#include <fcntl.h>

#include "commands/commands.h"
#include "commands/run.h"
#include "license/which_token.h"

/* The FILE of the command line, where there is one. -1 and errno. */
static int open_operand(struct lease *lease, const struct request *request)
{
	if (request->operand_count == 0)
		return 0;
	lease->token_path = request->operands[0];
	lease->token_fd = open(lease->token_path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return lease->token_fd < 0 ? -1 : 0;
}

int command_token_check(struct agent *agent, const struct request *request,
			struct json **ret_report, struct error *err)
{
	if (open_operand(&agent->lease, request) == 0)
		return which_token_report(&agent->context, &agent->lease, ret_report,
					  err);
	if (errno != ENOENT && errno != ENOTDIR)
		return error_set_errno(err, errno, "opening %s", request->operands[0]);
	return which_token_report_missing(request->operands[0], ret_report, err);
}

int command_token_install(struct agent *agent, const struct request *request,
			  struct json **ret_report, struct error *err)
{
	if (open_operand(&agent->lease, request) < 0) {
		(void)error_set_errno(err, errno, "opening %s", request->operands[0]);
		return err->errnum == ENOENT || err->errnum == ENOTDIR
			       ? error_recode(err, ERROR_TOKEN)
			       : -1;
	}
	return command_run_token(agent, ret_report, err);
}
