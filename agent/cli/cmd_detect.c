/* SPDX-License-Identifier: Apache-2.0 */

#include <stdio.h>

#include "cli/cmd.h"
#include "commands/plan.h"

CMD_RUN(cmd_detect)
{
	(void)args;
	return command_detect(agent, ret_report, err);
}

CMD_PRINT(cmd_detect_print)
{
	const struct json *gpus = json_get(report, "gpus");
	const struct json *kernels = json_get(report, "kernels");
	const struct json *os = json_get(report, "os");

	(void)args;
	for (size_t i = 0; i < json_count(gpus); i++) {
		const struct json *gpu = json_at(gpus, i);
		const struct json *host = json_get(gpu, "host_driver");
		const char *note = cmd_word(gpu, "note");

		(void)printf("GPU     %s  %s %s  %s", cmd_word(gpu, "address"),
			     cmd_word(gpu, "device_id"),
			     cmd_word(gpu, "subsystem_device_id"), cmd_word(gpu, "kind"));
		if (json_get_string(host, "version"))
			(void)printf("  host driver %s (%s)", cmd_word(host, "version"),
				     cmd_word(host, "branch"));
		(void)printf("%s%s\n", note[0] ? "  " : "", note);
	}
	(void)printf("System  %s %s, %s\n", cmd_word(os, "id"),
		     cmd_word(os, "version_id"), cmd_word(os, "arch"));
	for (size_t i = 0; i < json_count(kernels); i++) {
		const struct json *kernel = json_at(kernels, i);

		(void)printf("Kernel  %s%s, %s\n", cmd_word(kernel, "release"),
			     json_get_bool(kernel, "running", false) ? " (running)" : "",
			     json_get_bool(kernel, "headers", false) ? "headers"
								     : "no headers");
	}
}
