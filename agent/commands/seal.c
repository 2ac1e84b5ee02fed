/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "commands/run.h"
#include "model/paths.h"
#include "steps/license/announce.h"
#include "steps/license/gridd.h"
#include "steps/seal.h"

#define CLOUD "/var/lib/cloud/"

/* A file that the command line names is the caller's, not the image's. */
static const char *token_file(const struct context *ctx)
{
	return settings_is_callers(&ctx->settings, "license.token_file")
		       ? ""
		       : ctx->settings.license.token_file;
}

/* cloud-init keeps its metadata for this instance; the image's guests get their own. */
static int remove_clouds(const struct root *root, const struct seal_found *found,
			 size_t *ret_removed, struct error *err)
{
	size_t removed = 0;

	for (size_t i = 0; i < found->count && i < SEAL_FOUND_MAX; i++) {
		if (!text_starts(found->paths[i], CLOUD))
			continue;
		if (root_unlink(root, found->paths[i], err) < 0)
			return -1;
		removed++;
	}
	*ret_removed = removed;
	return 0;
}

static int refuse_copies(const struct seal_found *found, struct error *err)
{
	size_t i = 0;

	while (i < found->count && i < SEAL_FOUND_MAX - 1 &&
	       text_starts(found->paths[i], CLOUD))
		i++;
	(void)error_set(err, ERROR_TOKEN,
			"a client configuration token is also in %.300s%s; nothing was "
			"removed",
			found->paths[i], found->count > i + 1 ? " and elsewhere" : "");
	return error_hint(err, "remove it there, then seal again");
}

static int search_copies(const struct context *ctx, struct seal_secrets *secrets,
			 struct outcome *outcome, struct error *err)
{
	cleanup_free struct seal_found *found = malloc(sizeof(*found));
	size_t clouds = 0, removed = 0;

	if (!found)
		return error_set_errno(err, ENOMEM, "looking for tokens");
	if (seal_learn(&ctx->root, token_file(ctx), secrets, err) < 0 ||
	    seal_search(&ctx->root, secrets, token_file(ctx), found, err) < 0)
		return -1;
	for (size_t i = 0; i < found->count && i < SEAL_FOUND_MAX; i++)
		clouds += text_starts(found->paths[i], CLOUD);
	if (found->count > clouds)
		return refuse_copies(found, err);

	if (remove_clouds(&ctx->root, found, &removed, err) < 0)
		return -1;
	outcome_tell(outcome, removed > 0,
		     removed ? "cloud-init's copy of the metadata removed"
			     : "no copy of a token anywhere else");
	return 0;
}

static int look_for_copies(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	struct seal_secrets secrets = { .count = 0 };
	int result;

	if (agent->state.installing.version[0]) {
		(void)error_set(err, ERROR_INSTALL,
				"the installation of driver %s was cut off",
				agent->state.installing.version);
		return error_hint(err, "\"vgpu-guest-agent run\" finishes it; then seal");
	}
	result = search_copies(ctx, &secrets, outcome, err);
	seal_forget(&secrets);
	return result;
}

/* First of all: it would write its store again, and the license goes back. */
static int stop_gridd(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false;

	if (announce_nothing(ctx->runner, &ctx->root, err) < 0 ||
	    gridd_stop(ctx->runner, &ctx->root, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed,
		     changed ? "stopped, its license is returned" : "not active");
	return 0;
}

static int remove_tokens(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false;

	if (seal_tokens(&ctx->root, token_file(ctx), &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed, changed ? "removed" : "none here");
	return 0;
}

static int empty_store(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false;

	if (seal_empty(&ctx->root, PATHS_TRUSTED_STORE, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed,
		     changed ? PATHS_TRUSTED_STORE " emptied" : "empty");
	return 0;
}

static bool find_other(void *context, const char *key, const struct json *value)
{
	bool *others = context;

	(void)value;
	*others |= strcmp(key, "configure") != 0;
	return !*others;
}

/* What uninstall has to know of the driver stays; what happened on this machine goes. */
static int reduce_state(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	struct state *state = &agent->state;
	const struct json *configured = json_get(state->steps, "configure");
	struct json *reduced;
	bool others = false;
	bool there;

	/* It is of another instance: what its service said is nothing to a clone. */
	if (root_unlink(&ctx->root, PATHS_METADATA, err) < 0)
		return -1;
	if (root_exists(&ctx->root, PATHS_STATE_FILE, &there, err) < 0)
		return -1;
	if (!there) {
		outcome_tell(outcome, false, "none here");
		return 0;
	}
	if (state->driver.path[0] && root_unlink(&ctx->root, state->driver.path, err) < 0)
		return -1;
	json_each(state->steps, find_other, &others);
	if (!state->driver.path[0] && !others) {
		outcome_tell(outcome, false, "only what uninstall needs");
		return 0;
	}

	reduced = json_build("{s:O*}", "configure", configured);
	if (!reduced)
		return error_set_errno(err, ENOMEM, "reducing the state");
	json_free(state->steps);
	state->steps = reduced;
	state->driver.path[0] = '\0';
	if (state_save(&ctx->root, state, err) < 0)
		return -1;
	outcome_tell(outcome, true, "reduced to what uninstall needs");
	return 0;
}

static int empty_cache(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	bool changed = false;

	if (seal_empty(&ctx->root, PATHS_CACHE, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed, changed ? PATHS_CACHE " emptied" : "empty");
	return 0;
}

static int remove_logs(void *subject, struct outcome *outcome, struct error *err)
{
	struct agent *agent = subject;
	const struct context *ctx = &agent->context;
	static const char *const logs[] = { "/var/log/nvidia-installer.log",
					    "/var/log/nvidia-uninstall.log" };
	bool changed = false;

	if (seal_empty(&ctx->root, PATHS_LOGS, &changed, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(logs); i++) {
		bool there;

		if (root_exists(&ctx->root, logs[i], &there, err) < 0)
			return -1;
		if (!there)
			continue;
		if (root_unlink(&ctx->root, logs[i], err) < 0)
			return -1;
		changed = true;
	}
	outcome_tell(outcome, changed, changed ? "removed" : "none here");
	return seal_sync(&ctx->root, err);
}

static const struct pipeline_step steps[] = {
	{ "search", look_for_copies, JOB_SEAL, false },
	{ "gridd", stop_gridd, JOB_SEAL, true },
	{ "token", remove_tokens, JOB_SEAL, false },
	{ "trusted_store", empty_store, JOB_SEAL, false },
	{ "state", reduce_state, JOB_SEAL, false },
	{ "cache", empty_cache, JOB_SEAL, false },
	{ "logs", remove_logs, JOB_SEAL, false },
};
_Static_assert(ARRAY_SIZE(steps) <= PIPELINE_STEPS_MAX, "the report has room");

int command_seal(struct agent *agent, const struct request *request,
		 struct json **ret_report, struct error *err)
{
	(void)request;
	if (state_refuse_lost(&agent->state, err) < 0)
		return -1;
	agent->context.job = JOB_SEAL;
	return command_run_list(agent, steps, ARRAY_SIZE(steps), agent, ret_report, err);
}
