/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "commands/run.h"
#include "model/paths.h"
#include "steps/install/remove.h"
#include "steps/license/announce.h"
#include "steps/license/gridd.h"
#include "steps/license/token.h"

#define LET_GO_S 2 /* the monitor's, once it has seen the mark */

static bool is_ours(const struct agent *agent)
{
	return agent->state.driver.version[0] || agent->state.installing.version[0];
}

/* What was being installed is what is there, whole or in part. */
static const struct driver *driver_of(const struct state *state)
{
	return state->installing.version[0] ? &state->installing : &state->driver;
}

/* How the step last ended where it did anything: "changed", "failed"; "" for never. */
static const char *record(const struct agent *agent, const char *step)
{
	return json_get_words(json_get(agent->state.steps, step), "outcome");
}

/* Nothing stops for the sake of a driver that cannot be removed, or not now. */
static int stop_ours(void *subject, struct outcome *outcome, struct error *err)
{
	const struct agent *agent = subject;
	const struct context *ctx = &agent->context;

	if (is_ours(agent) && remove_driver_judge(ctx->runner, &ctx->root,
						  driver_of(&agent->state), err) < 0)
		return -1;
	return agent_stop_units(subject, outcome, err);
}

/* Also with a driver of others: the license is one by our token or configuration. */
static bool holds_our_license(const struct agent *agent)
{
	return is_ours(agent) || strcmp(record(agent, "token"), "changed") == 0 ||
	       strcmp(record(agent, "configure"), "changed") == 0;
}

/* Its license goes back while it still can. */
static int stop_gridd(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false, ours = holds_our_license(agent);

	if (announce_nothing(ctx->runner, &ctx->root, err) < 0)
		return -1;
	if (ours && gridd_stop(ctx->runner, &ctx->root, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed,
		     changed ? "stopped, its license is returned"
		     : ours  ? "not active"
			     : "its license is not ours");
	if (changed && !is_ours(agent))
		(void)text_copy(outcome->warning, sizeof(outcome->warning),
				"the driver is not ours and stays: \"systemctl start "
				"nvidia-gridd\" starts its daemon as it was set up "
				"before");
	return 0;
}

static int unload(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool gone = true;
	int result;

	if (!is_ours(agent)) {
		outcome_tell(outcome, false, "no driver of ours");
		return 0;
	}
	/* The monitor holds the driver's library, and so its modules: it lets go now. */
	announce_change(&ctx->root, true);
	result = remove_loaded(ctx->runner, &ctx->root, &gone, err);
	if (result == 0 && !gone) {
		result = clock_sleep(LET_GO_S, ctx->runner->cancel_fd, err);
		if (result == 0)
			result = remove_loaded(ctx->runner, &ctx->root, &gone, err);
	}
	announce_change(&ctx->root, false);
	if (result < 0)
		return -1;
	outcome_tell(outcome, gone,
		     gone ? "unloaded" : "in use: it stays loaded until a reboot");
	return 0;
}

static int remove_ours(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	struct state *state = &agent->state;
	bool changed = false;

	if (!is_ours(agent)) {
		outcome_tell(outcome, false, "no driver of ours");
		return 0;
	}
	if (context_log(ctx, err) < 0 ||
	    remove_driver(ctx->runner, &ctx->root, driver_of(state), ctx->tools->log_fd,
			  &changed, err) < 0)
		return -1;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "driver %s%s",
			  state->driver.version[0] ? state->driver.version
						   : state->installing.version,
			  changed ? " removed" : " was gone already");
	outcome->kind = changed ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	return 0;
}

static int remove_all_modules(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false, dkms = false;

	if (remove_dkms(ctx->runner, &ctx->root, "", ctx->tools->log_fd, &dkms, err) <
		    0 ||
	    remove_modules(ctx->runner, &ctx->root, &changed, err) < 0)
		return -1;
	changed |= dkms;
	outcome_tell(outcome, changed,
		     changed ? "removed, of every kernel" : "none of ours");
	return 0;
}

static int remove_our_files(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false;

	if (remove_files(ctx->runner, &ctx->root, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed,
		     changed ? "blacklist, kept sources, unit removed" : "none of ours");
	return 0;
}

static int restore_configuration(void *subject, struct outcome *outcome,
				 struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false;
	const char *what;

	if (remove_configuration(&ctx->root,
				 strcmp(record(agent, "configure"), "changed") == 0,
				 &changed, &what, err) < 0)
		return -1;
	outcome_tell(outcome, changed, what);
	return 0;
}

/* One that others put there, and that is only used, stays. */
static int restore_token(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	char folder[TOKEN_FOLDER_MAX];
	bool changed = false;

	token_folder(&ctx->root, folder);
	if (remove_token(&ctx->root, folder,
			 strcmp(record(agent, "token"), "changed") == 0, &changed,
			 err) < 0)
		return -1;
	outcome_tell(outcome, changed, changed ? "removed" : "none of ours");
	return 0;
}

/*
 * Last of all: it is what the next one goes by where this one is cut off. The record goes
 * before the backup, without which it would have the next one remove what came back.
 */
static int remove_state(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	static const char *const folders[] = { PATHS_CACHE, PATHS_LOGS, PATHS_STATE };
	bool changed = false, there;

	if (root_exists(&ctx->root, PATHS_STATE, &there, err) < 0 ||
	    (there && root_unlink(&ctx->root, PATHS_STATE_FILE, err) < 0))
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(folders); i++) {
		if (root_exists(&ctx->root, folders[i], &there, err) < 0)
			return -1;
		if (!there)
			continue;
		if (root_remove_tree(&ctx->root, folders[i], err) < 0)
			return -1;
		changed = true;
	}
	outcome_tell(outcome, changed,
		     changed ? "state, cache and logs removed" : "none here");
	return 0;
}

static const struct pipeline_step steps[] = {
	{ "stop", stop_ours, JOB_UNINSTALL, true },
	{ "gridd", stop_gridd, JOB_UNINSTALL, true },
	{ "unload", unload, JOB_UNINSTALL, true },
	{ "driver", remove_ours, JOB_UNINSTALL, false },
	{ "modules", remove_all_modules, JOB_UNINSTALL, false },
	{ "files", remove_our_files, JOB_UNINSTALL, false },
	{ "configure", restore_configuration, JOB_UNINSTALL, false },
	{ "token", restore_token, JOB_UNINSTALL, false },
	{ "state", remove_state, JOB_UNINSTALL, false },
};
_Static_assert(ARRAY_SIZE(steps) <= PIPELINE_STEPS_MAX, "the report has room");

int command_uninstall(struct agent *agent, const struct request *request,
		      struct json **ret_report, struct error *err)
{
	(void)request;
	if (state_refuse_lost(&agent->state, err) < 0)
		return -1;
	agent->context.job = JOB_UNINSTALL;
	return command_run_list(agent, steps, ARRAY_SIZE(steps), agent, ret_report, err);
}
