/* SPDX-License-Identifier: Apache-2.0 */
#include "license/publish.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "doctor/reason.h"
#include "steps/announce.h"
#include "steps/gridd.h"
#include "steps/poll.h"

#define SMI_TIMEOUT_S 30

static int publish(struct agent *agent, struct error *err)
{
	int type = agent->settings.license.feature_type;
	const struct license_report *report = &agent->license;
	size_t gpus = agent->gpus.count;
	bool licensed = license_all_held(report, gpus, type);
	struct license_reason reason = { 0 };
	cleanup_json struct json *status = NULL;

	/* Of a driver that is silent nothing of the license is known. */
	if (!licensed && report->count > 0)
		reason_find(agent, NULL, &reason);
	status = license_report_json(report->count ? report : NULL, gpus, type,
				     reason.code ? &reason : NULL, clock_now());
	if (!status)
		return error_set_errno(err, ENOMEM, "reporting the status");
	return announce_license(&agent->runner, &agent->root, status, licensed,
				licensed && gridd_is_active(ANNOUNCE_TARGET), err);
}

void publish_license(struct agent *agent)
{
	struct error err = ERROR_INIT;

	if (agent->offline || agent->gpus.count == 0)
		return;
	if (agent->license.count == 0) {
		if (!announce_is_licensed(&agent->root))
			return;
		/* Fails: then there is no license that could be shown. */
		if (poll_smi(&agent->runner, &agent->root, SMI_TIMEOUT_S, &agent->license,
			     &err) < 0)
			agent->license.count = 0;
	}

	err = ERROR_INIT;
	if (publish(agent, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: telling of the license: %s",
			 err.text);
}
