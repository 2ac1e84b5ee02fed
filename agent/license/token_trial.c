/* SPDX-License-Identifier: Apache-2.0 */
#include "license/token_trial.h"

#include <errno.h>
#include <stdlib.h>
#include <syslog.h>

#include "base/log.h"
#include "base/text.h"
#include "core/journal.h"
#include "steps/license/gridd.h"
#include "steps/license/poll.h"
#include "steps/license/token.h"

#define GRIDD_TIMEOUT_S 90
#define SMI_TIMEOUT_S 30

/* Only these wait for the license afterwards, and so can tell whether it came. */
static bool can_try(const struct context *ctx)
{
	return !ctx->offline && ctx->job & (JOB_RUN | JOB_ROTATE);
}

int token_trial_begin(const struct context *ctx, const struct guest *guest, int fd,
		      struct error *err)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	cleanup_fd int old = -1;
	struct error why = ERROR_INIT;
	size_t count;

	if (!report)
		return error_set_errno(err, ENOMEM, "keeping the token");
	if (!can_try(ctx) || token_open_installed(&ctx->root, &old, &count, &why) < 0 ||
	    old < 0 || token_same(fd, old))
		return 0;
	if (poll_smi(ctx->runner, &ctx->root, SMI_TIMEOUT_S, report, &why) < 0 ||
	    !license_all_held(report, guest->gpus.count,
			      ctx->settings.license.feature_type)) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	return token_keep_licensed(&ctx->root, err);
}

bool token_trial_refuses(const struct context *ctx, int fd)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int old = -1;
	size_t count;

	return can_try(ctx) && token_is_rejected(&ctx->root, fd) &&
	       token_open_installed(&ctx->root, &old, &count, &ignored) == 0 &&
	       old >= 0 && !token_same(fd, old);
}

static int put_back(const struct context *ctx, const struct guest *guest, int old,
		    int rejected, struct license_report *ret_report, struct error *err)
{
	struct poll_wait wait = {
		.wait_s = (unsigned)ctx->settings.license.wait,
		.feature_type = ctx->settings.license.feature_type,
		.expected = guest->gpus.count,
	};
	bool changed;

	if ((rejected >= 0 && token_reject(&ctx->root, rejected, err) < 0) ||
	    token_install(old, (unsigned)ctx->settings.license.token_mode, &ctx->root,
			  &changed, err) < 0 ||
	    gridd_restart(false, GRIDD_TIMEOUT_S, ctx->runner->cancel_fd, err) < 0)
		return -1;
	return poll_until_licensed(ctx->runner, &ctx->root, &wait, ret_report, err);
}

void token_trial_undo(const struct context *ctx, const struct guest *guest,
		      struct license_report *ret_report, struct error *err)
{
	cleanup_fd int old = token_open_licensed(&ctx->root), rejected = -1;
	struct error why = ERROR_INIT;
	char text[256];
	size_t count;

	if (err->interrupted || err->code != ERROR_UNLICENSED || old < 0 ||
	    token_open_installed(&ctx->root, &rejected, &count, &why) < 0 ||
	    (rejected >= 0 && token_same(old, rejected)))
		return;
	log_line(LOG_LEVEL_NOTICE, "license    putting the token before back: %s",
		 err->text);
	(void)text_copy(text, sizeof(text), err->text);
	if (put_back(ctx, guest, old, rejected, ret_report, &why) < 0) {
		(void)error_set(err, why.code,
				"the new token did not license (%s), and the one before "
				"does not either: %s",
				text, why.text);
		return;
	}
	(void)error_set(err, ERROR_UNLICENSED,
			"the new token did not license (%s): the one before is back, and "
			"licensed",
			text);
	(void)error_hint(err, "vgpu-guest-agent token check says what is wrong with it; "
			      "token install FILE tries it all the same");
	journal_event(JOURNAL_TOKEN_BACK, LOG_ERR, err->text);
}
