/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "commands/run.h"
#include "model/paths.h"
#include "steps/license/announce.h"
#include "steps/license/gridd.h"
#include "steps/license/token.h"
#include "steps/seal.h"

#define CLOUD "/var/lib/cloud/"
#define SWAPS "/proc/swaps"
#define SWAPS_MAX (64u << 10)

/* What the steps of one seal share. */
struct sealing {
	struct agent *agent;
	struct seal seal;
	struct seal_found found;
	uint64_t searched; /* bytes */
};

/* A file that the command line names is the caller's, not the image's. */
static const char *token_file(const struct context *ctx)
{
	return settings_is_callers(&ctx->settings, "license.token_file")
		       ? ""
		       : ctx->settings.license.token_file;
}

static size_t count_shown(const struct seal_found *found)
{
	return found->count < SEAL_FOUND_MAX ? found->count : SEAL_FOUND_MAX;
}

/*
 * cloud-init keeps its metadata for this instance; the image's guests get their own.
 * What it has goes from the list, the other places stay there.
 */
static int remove_clouds(const struct root *root, struct seal_found *found,
			 struct error *err)
{
	size_t shown = count_shown(found), kept = 0;

	for (size_t i = 0; i < shown; i++) {
		if (!text_starts(found->paths[i], CLOUD)) {
			memmove(found->paths[kept++], found->paths[i], SEAL_PATH_MAX);
			continue;
		}
		if (root_unlink(root, found->paths[i], err) < 0)
			return -1;
		found->count--;
	}
	return 0;
}

static size_t count_clouds(const struct seal_found *found)
{
	size_t clouds = 0;

	for (size_t i = 0; i < count_shown(found); i++)
		clouds += text_starts(found->paths[i], CLOUD);
	return clouds;
}

/* As many places as an error has room for; the report names more. */
static int refuse_copies(const struct seal_found *found, struct error *err)
{
	char places[360] = "";
	size_t used = 0, told = 0;

	for (size_t i = 0; i < count_shown(found); i++) {
		if (!found->paths[i][0] || text_starts(found->paths[i], CLOUD) ||
		    !text_format(places + used, sizeof(places) - used, "%s%s",
				 told ? ", " : "", found->paths[i]))
			continue;
		used += strlen(places + used);
		told++;
	}
	places[used] = '\0';
	(void)error_set(err, ERROR_PERMISSION,
			"a client configuration token is also in %s%s; nothing was "
			"removed",
			told ? places : "places with long names",
			told + count_clouds(found) < found->count ? " and elsewhere"
								  : "");
	return error_hint(err, "remove it there (of a journal: journalctl --rotate, then "
			       "journalctl --vacuum-time=1s), then seal again");
}

static int show_search(void *context, uint64_t bytes, struct error *err)
{
	struct sealing *sealing = context;
	struct pollfd cancel = { .fd = sealing->agent->context.runner->cancel_fd,
				 .events = POLLIN };

	sealing->searched += bytes;
	log_progress("search", sealing->searched, 0);
	return poll(&cancel, 1, 0) > 0 ? error_set_interrupted(err) : 0;
}

static int look_for_copies(void *subject, struct outcome *outcome, struct error *err)
{
	struct sealing *sealing = subject;
	const struct state *state = &sealing->agent->state;
	struct seal_found *found = &sealing->found;
	size_t clouds;

	if (state->installing.version[0]) {
		(void)error_set(err, ERROR_INSTALL,
				"the installation of driver %s was cut off",
				state->installing.version);
		return error_hint(err, "\"vgpu-guest-agent run\" finishes it; then seal");
	}
	if (seal_learn(&sealing->seal, err) < 0 ||
	    seal_search(&sealing->seal, found, err) < 0)
		return -1;
	clouds = count_clouds(found);
	if (found->count > clouds)
		return refuse_copies(found, err);
	if (found->unread)
		(void)text_format(
			outcome->warning, sizeof(outcome->warning),
			"%zu place%s could not be searched to the end: %.200s%s",
			found->unread, found->unread == 1 ? "" : "s", found->first_unread,
			found->unread == 1 ? "" : " and others");
	outcome_tell(outcome, clouds > 0,
		     clouds ? "cloud-init's copy of the metadata removed"
			    : "no copy of a token anywhere else");
	return remove_clouds(&sealing->agent->context.root, found, err);
}

/* What was in memory may be on it, and no search tells. */
static int look_at_swap(void *subject, struct outcome *outcome, struct error *err)
{
	struct sealing *sealing = subject;
	const struct context *ctx = &sealing->agent->context;
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, line, name;
	size_t size;

	(void)err;
	(void)text_copy(outcome->detail, sizeof(outcome->detail), "none is active");
	if (file_read(&ctx->root, SWAPS, SWAPS_MAX, &text, &size, &ignored) < 0)
		return 0;
	rest = (struct span){ text, size };
	if (!span_next_line(&rest, &line) || !span_next_line(&rest, &line))
		return 0;
	(void)span_split(line, ' ', &name, &rest);
	(void)text_format(outcome->detail, sizeof(outcome->detail), "%.*s is active",
			  (int)(name.len < 100 ? name.len : 100), name.at);
	(void)text_format(outcome->warning, sizeof(outcome->warning),
			  "%.120s: a token that was in memory may be on it: swapoff and "
			  "mkswap before the snapshot",
			  outcome->detail);
	return 0;
}

static int stop_ours(void *subject, struct outcome *outcome, struct error *err)
{
	const struct sealing *sealing = subject;

	return agent_stop_units(sealing->agent, outcome, err);
}

/* First of all: it would write its store again, and the license goes back. */
static int stop_gridd(void *subject, struct outcome *outcome, struct error *err)
{
	const struct sealing *sealing = subject;
	const struct context *ctx = &sealing->agent->context;
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
	const struct sealing *sealing = subject;
	bool changed = false;

	if (seal_tokens(&sealing->seal, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed, changed ? "removed" : "none here");
	return 0;
}

static int empty_store(void *subject, struct outcome *outcome, struct error *err)
{
	const struct sealing *sealing = subject;
	const struct context *ctx = &sealing->agent->context;
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
	const struct sealing *sealing = subject;
	const struct context *ctx = &sealing->agent->context;
	struct state *state = &sealing->agent->state;
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
	if (state->previous.path[0] &&
	    root_unlink(&ctx->root, state->previous.path, err) < 0)
		return -1;
	json_each(state->steps, find_other, &others);
	if (!state->driver.path[0] && !state->previous.version[0] && !others) {
		outcome_tell(outcome, false, "only what uninstall needs");
		return 0;
	}

	reduced = json_build("{s:O*}", "configure", configured);
	if (!reduced)
		return error_set_errno(err, ENOMEM, "reducing the state");
	json_free(state->steps);
	state->steps = reduced;
	state->driver.path[0] = '\0';
	state->previous = DRIVER_NONE;
	if (state_save(&ctx->root, state, err) < 0)
		return -1;
	outcome_tell(outcome, true, "reduced to what uninstall needs");
	return 0;
}

static int empty_cache(void *subject, struct outcome *outcome, struct error *err)
{
	const struct sealing *sealing = subject;
	const struct context *ctx = &sealing->agent->context;
	bool changed = false;

	if (seal_empty(&ctx->root, PATHS_CACHE, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed, changed ? PATHS_CACHE " emptied" : "empty");
	return 0;
}

static int remove_logs(void *subject, struct outcome *outcome, struct error *err)
{
	const struct sealing *sealing = subject;
	const struct context *ctx = &sealing->agent->context;
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
	return seal_end(&ctx->root, err);
}

static const struct pipeline_step steps[] = {
	{ "search", look_for_copies, JOB_SEAL, false },
	{ "swap", look_at_swap, JOB_SEAL, true },
	{ "stop", stop_ours, JOB_SEAL, true },
	{ "gridd", stop_gridd, JOB_SEAL, true },
	{ "token", remove_tokens, JOB_SEAL, false },
	{ "trusted_store", empty_store, JOB_SEAL, false },
	{ "state", reduce_state, JOB_SEAL, false },
	{ "cache", empty_cache, JOB_SEAL, false },
	{ "logs", remove_logs, JOB_SEAL, false },
};
_Static_assert(ARRAY_SIZE(steps) <= PIPELINE_STEPS_MAX, "the report has room");

/* The places where a token was found go into the report. */
static int add_places(struct json *report, const struct seal_found *found)
{
	cleanup_json struct json *places = json_build("[]");

	for (size_t i = 0; places && i < count_shown(found); i++) {
		char path[SEAL_PATH_MAX];

		(void)text_copy(path, sizeof(path), found->paths[i]);
		text_sanitize(path);
		if (json_append(places, json_words(path)) < 0)
			return -1;
	}
	return json_set(report, "places", take_ptr(places));
}

int command_seal(struct agent *agent, const struct request *request,
		 struct json **ret_report, struct error *err)
{
	static struct sealing sealing; /* too large for the stack */
	struct context *ctx = &agent->context;
	char folder[TOKEN_FOLDER_MAX];
	int result;

	(void)request;
	if (state_refuse_lost(&agent->state, err) < 0)
		return -1;
	ctx->job = JOB_SEAL;
	token_folder(&ctx->root, folder);
	sealing = (struct sealing){ .agent = agent,
				    .seal = { .root = &ctx->root,
					      .channel = ctx->channel,
					      .folder = folder,
					      .token_file = token_file(ctx),
					      .each = show_search,
					      .context = &sealing } };
	result = command_run_list(agent, steps, ARRAY_SIZE(steps), &sealing, ret_report,
				  err);
	if (*ret_report && add_places(*ret_report, &sealing.found) < 0 && result == 0)
		return error_set_errno(err, ENOMEM, "reporting the steps");
	return result;
}
