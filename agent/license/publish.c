/* SPDX-License-Identifier: Apache-2.0 */
#include "license/publish.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "core/last_run.h"
#include "doctor/reason.h"
#include "steps/license/announce.h"
#include "steps/license/gridd.h"
#include "steps/license/poll.h"

#define SMI_TIMEOUT_S 30

int publish_status(const struct context *ctx, size_t gpus,
		   const struct license_report *report, struct reason_memory *memory,
		   struct json **ret_status, bool *ret_licensed)
{
	int type = ctx->settings.license.feature_type;
	struct license_reason reason = { 0 };

	*ret_licensed = license_all_held(report, gpus, type);
	/* Of a driver that is silent nothing of the license is known. */
	if (!*ret_licensed && report)
		reason_find(ctx, report, memory, &reason);
	*ret_status = license_report_json(report, gpus, type,
					  reason.code ? &reason : NULL, clock_now());
	return *ret_status && last_run_add(*ret_status, last_run_read(&ctx->root)) == 0
		       ? 0
		       : -1;
}

static int announce(const struct context *ctx, size_t gpus,
		    const struct license_report *report, struct error *err)
{
	cleanup_json struct json *status = NULL;
	bool licensed;

	if (publish_status(ctx, gpus, report->count ? report : NULL, NULL, &status,
			   &licensed) < 0)
		return error_set_errno(err, ENOMEM, "reporting the status");
	return announce_license(ctx->runner, &ctx->root, status, licensed,
				licensed && gridd_is_active(ANNOUNCE_TARGET), err);
}

void publish_license(const struct context *ctx, size_t gpus,
		     struct license_report *report)
{
	struct error err = ERROR_INIT;

	if (ctx->offline || gpus == 0)
		return;
	if (report->count == 0) {
		if (!announce_is_licensed(&ctx->root))
			return;
		/* Fails: then there is no license that could be shown. */
		if (poll_smi(ctx->runner, &ctx->root, SMI_TIMEOUT_S, report, &err) < 0)
			report->count = 0;
	}

	err = ERROR_INIT;
	if (announce(ctx, gpus, report, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: telling of the license: %s",
			 err.text);
}
