/* SPDX-License-Identifier: Apache-2.0 */

/*
 * token check: what is in a token, and what is wrong with it. token install: put in
 * place.
 */

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>

#include "cli/cmd.h"
#include "core/guest.h"
#include "license/licensing.h"

/* The FILE of the command line, where there is one. -1 and errno. */
static int open_operand(struct agent *agent, const struct args *args)
{
	if (args->operand_count == 0)
		return 0;
	agent->command_token_path = args->operands[0];
	agent->command_token = open(args->operands[0], O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	return agent->command_token < 0 ? -1 : 0;
}

CMD_RUN(cmd_token_check)
{
	if (open_operand(agent, args) == 0)
		return licensing_check(agent, ret_report, err);
	if (errno == EACCES)
		return error_set_errno(err, errno, "opening %s", args->operands[0]);
	return licensing_check_missing(args->operands[0], ret_report, err);
}

CMD_RUN(cmd_token_install)
{
	if (open_operand(agent, args) < 0) {
		enum error_code code = errno == EACCES ? ERROR_PERMISSION : ERROR_TOKEN;

		(void)error_set_errno(err, errno, "opening %s", args->operands[0]);
		return error_recode(err, code);
	}
	if (guest_look(agent, err) < 0)
		return -1;
	return cmd_run_job(agent, AGENT_TOKEN, ret_report, err);
}

CMD_PRINT(cmd_token_check_print)
{
	const struct json *problems = json_get(report, "problems");
	const struct json *servers = json_get(report, "servers");
	const char *expires = json_get_string(report, "expires");
	const char *signature = json_get_string(report, "signature");
	int64_t size = json_get_int(report, "size", 0);

	(void)args;
	/* None, or an empty one: the error has said all there is. */
	if (size == 0)
		return;
	(void)printf("%s, %lld bytes\n",
		     json_get_bool(report, "valid", false)
			     ? "The token can be installed"
			     : "The token cannot be installed",
		     (long long)size);
	for (size_t i = 0; i < json_count(problems); i++) {
		const struct json *one = json_at(problems, i);
		const char *severity = json_get_string(one, "severity");
		const char *message = json_get_string(one, "message");

		(void)printf("  %s: %s\n", severity ? severity : "",
			     message ? message : "");
	}
	for (size_t i = 0; i < json_count(servers); i++) {
		const char *host = json_get_string(json_at(servers, i), "host");

		(void)printf("  server: %s\n", host ? host : "");
	}
	if (expires)
		(void)printf("  expires: %s\n", expires);
	if (signature)
		(void)printf("  signature: %s\n", signature);
}
