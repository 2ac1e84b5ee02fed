/* SPDX-License-Identifier: Apache-2.0 */

/*
 * doctor: the examination, and the support archive of what this and other commands say.
 */

#include <limits.h>

#include "base/log.h"
#include "commands/commands.h"
#include "commands/output.h"
#include "commands/plan.h"
#include "doctor/examine.h"
#include "doctor/support.h"

/* What the other commands say; that they fail is what they then say. */
static int write_archive(struct agent *agent, const struct request *request,
			 const struct json *doctor, struct error *err)
{
	const struct request plain = { .options = request->options };
	cleanup_json struct json *detect = command_plan_guest(&agent->guest);
	cleanup_json struct json *status = NULL;
	cleanup_json struct json *config = settings_json(&agent->context.settings);
	struct error ignored = ERROR_INIT;

	if (command_status(agent, &plain, &status, &ignored) < 0 && ignored.interrupted)
		return error_set_interrupted(err);
	return support_write(&agent->context,
			     (const struct support_report[]){ { "doctor.json", doctor },
							      { "status.json", status },
							      { "detect.json", detect },
							      { "config.json", config } },
			     4, request->bundle, err);
}

int command_doctor(struct agent *agent, const struct request *request,
		   struct json **ret_report, struct error *err)
{
	const struct context *ctx = &agent->context;
	struct error archive = ERROR_INIT;
	char path[PATH_MAX];
	struct stat there_now;
	int result;

	if (context_need_system(ctx, "doctor asks a running system", err) < 0)
		return -1;
	if (request->bundle &&
	    command_output_judge(ctx, "--bundle", request->bundle, path, sizeof(path),
				 &there_now, err) < 0)
		return -1;
	if (guest_look(ctx, &agent->guest, err) < 0)
		return -1;
	guest_adopt_feature_type(ctx, &agent->guest, &agent->context.settings);
	result = examine_guest(ctx, &agent->guest, &agent->state, ret_report, err);
	if (request->bundle && *ret_report) {
		if (write_archive(agent, request, *ret_report, &archive) < 0) {
			*err = archive;
			return -1;
		}
		log_line(LOG_LEVEL_NOTICE,
			 "doctor     the support archive is %s: look at it before you "
			 "hand it on",
			 request->bundle);
	}
	/* People read the causes on standard output: the error says only what they mean.
	 */
	if (result < 0 && *ret_report && !request->json) {
		const char *code = json_get_string(
			json_at(json_get(*ret_report, "causes"), 0), "code");

		return error_set(err, err->code, "likeliest cause: %s", code ? code : "");
	}
	return result;
}
