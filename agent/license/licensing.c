/* SPDX-License-Identifier: Apache-2.0 */
#include "license/licensing.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "doctor/reason.h"
#include "license/token_trial.h"
#include "license/which_token.h"
#include "model/paths.h"
#include "steps/labels.h"
#include "steps/license/configure.h"
#include "steps/license/gridd.h"
#include "steps/license/poll.h"
#include "steps/license/token.h"

#define GRIDD_TIMEOUT_S 90
#define SMI_TIMEOUT_S 30
#define NOT_NEEDED "no GPU here needs a license"

static bool is_needed(const struct context *ctx, const struct guest *guest)
{
	return license_is_needed(&guest->gpus, ctx->settings.license.feature_type,
				 ctx->offline);
}

int licensing_configure(const struct context *ctx, struct outcome *outcome,
			struct error *err)
{
	struct configure_result result;

	if (configure_gridd(&ctx->settings.license, &ctx->root, false, &result, err) < 0)
		return -1;
	outcome_tell(outcome, result.changed,
		     result.detail[0] ? result.detail
				      : PATHS_GRIDD_CONF " is as it should be");
	return 0;
}

/*
 * An older license server, a cloud that licenses by itself, a node-locked file: no token
 * is demanded where the license is there. A driver that says nothing leaves it open.
 */
static bool is_licensed_without(const struct context *ctx, const struct guest *guest)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	struct error ignored = ERROR_INIT;

	return report &&
	       poll_smi(ctx->runner, &ctx->root, SMI_TIMEOUT_S, report, &ignored) == 0 &&
	       license_all_held(report, guest->gpus.count,
				ctx->settings.license.feature_type);
}

static int do_without(const struct context *ctx, const struct guest *guest,
		      struct outcome *outcome, struct error *err)
{
	if (!ctx->offline && is_needed(ctx, guest)) {
		if (!is_licensed_without(ctx, guest))
			return which_token_none(&ctx->root, err);
		outcome_skip(outcome, "licensed without a token");
		return 0;
	}
	outcome_skip(outcome, ctx->offline ? "no token: the guest's metadata may have one"
					   : NOT_NEEDED);
	return 0;
}

int licensing_token(const struct context *ctx, const struct guest *guest,
		    const struct metadata *metadata, struct lease *lease,
		    struct outcome *outcome, struct error *err)
{
	cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
	bool changed = false;

	if (which_token_open(ctx, metadata, lease, &token, err) < 0)
		return -1;
	if (token.fd < 0)
		return do_without(ctx, guest, outcome, err);
	if (which_token_judge(ctx, &token, &lease->token_expires, outcome, err) < 0)
		return -1;

	if (token_trial_refuses(ctx, token.fd)) {
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "%s has one that did not license before: the installed "
				  "one stays",
				  token.source);
		return 0;
	}
	if (token_trial_begin(ctx, guest, token.fd, err) < 0)
		return -1;

	/* The installed one stays where it is, whatever it is called. */
	if (!token.installed &&
	    token_install(token.fd, (unsigned)ctx->settings.license.token_mode,
			  &ctx->root, &changed, err) < 0)
		return -1;
	if (lease->token_fd >= 0 && !ctx->offline &&
	    token_set_by_hand(&ctx->root, true, err) < 0)
		return -1;
	outcome->kind = changed ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "%s%s", token.source,
			  changed ? ", installed" : "");
	return 0;
}

/* Microseconds since 1970 of the last change of what the daemon reads at its start. */
static int64_t youngest_input(const struct root *root)
{
	char folder[TOKEN_FOLDER_MAX];
	char token[TOKEN_FOLDER_MAX + sizeof("/" PATHS_TOKEN_NAME)];
	const char *const paths[] = { PATHS_GRIDD_CONF, folder, token, PATHS_GRIDD };
	int64_t youngest = 0;

	token_folder(root, folder);
	(void)text_format(token, sizeof(token), "%s/" PATHS_TOKEN_NAME, folder);

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct stat st;
		int64_t changed;

		if (!root_stat(root, paths[i], &st))
			continue;
		changed =
			(int64_t)st.st_ctim.tv_sec * 1000000 + st.st_ctim.tv_nsec / 1000;
		if (changed > youngest)
			youngest = changed;
	}
	return youngest;
}

/* With the reason that `status` will give for it. */
static int explain(const struct context *ctx, const struct license_report *report,
		   struct error *err)
{
	struct license_reason reason = { 0 };
	struct gridd_state state = { 0 };
	struct error ignored = ERROR_INIT;

	if (err->interrupted || err->code != ERROR_UNLICENSED)
		return -1;
	reason_find(ctx, report, NULL, &reason);
	if (reason.code) {
		char text[sizeof(err->text)];

		memcpy(text, err->text, sizeof(text));
		(void)error_set(err, ERROR_UNLICENSED, "%.200s: %s%s", text,
				reason.by_daemon ? "nvidia-gridd says: " : "",
				reason.message);
		return error_hint(err, "%s", reason.hint);
	}
	if (gridd_look(&state, &ignored) < 0)
		return -1;
	if (!state.active)
		return error_hint(err,
				  PATHS_GRIDD_UNIT
				  " is %s: systemctl status " PATHS_GRIDD_UNIT,
				  state.detail);
	return error_hint(
		err, "nvidia-gridd gives no reason: journalctl -u " PATHS_GRIDD_UNIT);
}

/* What it reads was written since the driver was: a policy may say how each is called. */
static int label(const struct context *ctx, struct outcome *outcome, struct error *err)
{
	struct error why = ERROR_INIT;

	if (labels_restore(ctx->runner, &ctx->root, &why) == 0)
		return 0;
	if (why.interrupted) {
		*err = why;
		return -1;
	}
	(void)text_copy(outcome->warning, sizeof(outcome->warning), why.text);
	return 0;
}

int licensing_gridd(const struct context *ctx, const struct guest *guest,
		    struct lease *lease, struct outcome *outcome, struct error *err)
{
	struct gridd_state state = { 0 };

	if (!is_needed(ctx, guest)) {
		outcome_skip(outcome, NOT_NEEDED);
		return 0;
	}
	if (gridd_look(&state, err) < 0)
		return -1;
	if (!state.exists && ctx->job != JOB_RUN) {
		outcome_skip(outcome, "nvidia-gridd is not installed yet");
		return 0;
	}
	if (state.active && state.enabled && !lease->units_changed && !lease->loaded &&
	    state.started >= youngest_input(&ctx->root)) {
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  PATHS_GRIDD_UNIT " is %s, nothing it reads has changed",
				  state.detail);
		return 0;
	}

	if (label(ctx, outcome, err) < 0)
		return -1;
	if (gridd_restart(lease->units_changed || !state.exists, GRIDD_TIMEOUT_S,
			  ctx->runner->cancel_fd, err) < 0)
		return explain(ctx, &lease->report, err);
	lease->restarted = true;
	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail),
			  PATHS_GRIDD_UNIT " %s", state.active ? "restarted" : "started");
	return 0;
}

struct waiting {
	const struct settings_license *license;
	bool said;
};

/* Said once, where the first answer is not yet the last. */
static void say_waiting(void *context, const struct license_report *report,
			double seconds)
{
	struct waiting *waiting = context;

	(void)seconds;
	if (waiting->said ||
	    license_all_held(report, report->count, waiting->license->feature_type))
		return;
	waiting->said = true;
	log_line(LOG_LEVEL_NOTICE, "license    waiting up to %d s for the license",
		 waiting->license->wait);
}

/* What the install step has just seen still holds: nothing was done to the daemon. */
static bool was_seen_licensed(const struct context *ctx, const struct guest *guest,
			      const struct lease *lease)
{
	return !lease->restarted && license_all_held(&lease->report, guest->gpus.count,
						     ctx->settings.license.feature_type);
}

/* The first GPU that holds a license, with the driver's own words. */
static void describe_license(const struct license_report *report, struct outcome *outcome)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct license_gpu *gpu = &report->gpus[i];

		if (gpu->feature_count == 0 || !license_held(gpu))
			continue;
		(void)text_format(outcome->detail, sizeof(outcome->detail), "%s: %s",
				  gpu->name, gpu->features[0].status);
		return;
	}
	(void)text_copy(outcome->detail, sizeof(outcome->detail), NOT_NEEDED);
}

int licensing_license(const struct context *ctx, const struct guest *guest,
		      struct lease *lease, struct outcome *outcome, struct error *err)
{
	struct waiting waiting = { .license = &ctx->settings.license };
	const struct poll_wait wait = {
		.wait_s = (unsigned)ctx->settings.license.wait,
		.feature_type = ctx->settings.license.feature_type,
		.expected = guest->gpus.count,
		.each = say_waiting,
		.context = &waiting,
	};
	struct error left = ERROR_INIT;

	if (!was_seen_licensed(ctx, guest, lease) &&
	    poll_until_licensed(ctx->runner, &ctx->root, &wait, &lease->report, err) <
		    0) {
		(void)explain(ctx, &lease->report, err);
		token_trial_undo(ctx, guest, &lease->report, err);
		return -1;
	}
	if (is_needed(ctx, guest) && token_forget_older(&ctx->root, &left) < 0)
		(void)text_copy(outcome->warning, sizeof(outcome->warning), left.text);
	describe_license(&lease->report, outcome);
	return 0;
}
