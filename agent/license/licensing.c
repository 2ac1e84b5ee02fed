/* SPDX-License-Identifier: Apache-2.0 */
#include "license/licensing.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "doctor/reason.h"
#include "license/token_watch.h"
#include "model/paths.h"
#include "steps/configure.h"
#include "steps/gridd.h"
#include "steps/poll.h"
#include "steps/token.h"

#define GRIDD_TIMEOUT_S 90
#define SOURCE_INSTALLED "the installed token"
#define HINT_GET_TOKEN \
	"get one from the license server and run: vgpu-guest-agent token install FILE"

static bool is_needed(const struct agent *agent)
{
	return license_is_needed(&agent->gpus, agent->settings.license.feature_type,
				 agent->offline);
}

static void skip(struct outcome *outcome, const char *why)
{
	outcome->kind = OUTCOME_SKIPPED;
	(void)text_copy(outcome->detail, sizeof(outcome->detail), why);
}

int licensing_configure(struct agent *agent, struct outcome *outcome, struct error *err)
{
	struct configure_result result;

	if (configure_gridd(&agent->settings.license, &agent->root, false, &result, err) <
	    0)
		return -1;
	outcome->kind = result.changed ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	(void)text_copy(outcome->detail, sizeof(outcome->detail),
			result.detail[0] ? result.detail
					 : PATHS_GRIDD_CONF " is as it should be");
	return 0;
}

static int open_token_file(struct agent *agent, int *ret_fd, struct error *err)
{
	const char *path = agent->settings.license.token_file;
	bool caller = settings_is_callers(&agent->settings, "license.token_file");

	*ret_fd = root_open_at(caller ? &agent->caller : &agent->root, path,
			       O_RDONLY | O_NONBLOCK, 0, err);
	if (*ret_fd < 0) {
		(void)error_recode(err, err->code == ERROR_PERMISSION ? ERROR_PERMISSION
								      : ERROR_TOKEN);
		return error_hint(err, "license.token_file names it");
	}
	return 0;
}

/*
 * It may be a pipe: what was checked must be what is installed. A byte more than a token
 * may have is enough for the check to say that it is too large.
 */
static int copy_token(int fd, int *ret_fd, struct error *err)
{
	char text[TOKEN_SIZE_MAX + 1];
	size_t size = 0;
	ssize_t n = 1;
	int result;

	while (n != 0 && size < sizeof(text)) {
		n = read(fd, text + size, sizeof(text) - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			(void)error_set_errno(err, errno, "reading the token");
			return error_recode(err, ERROR_TOKEN);
		}
		size += (size_t)n;
	}

	result = token_memory(text, size, ret_fd, err);
	explicit_bzero(text, size);
	return result;
}

int licensing_open_token(struct agent *agent, int *ret_fd, size_t *ret_count,
			 const char **ret_source, struct error *err)
{
	*ret_count = 1;

	if (agent->command_token >= 0) {
		*ret_source = agent->command_token_path;
		return copy_token(agent->command_token, ret_fd, err);
	}
	if (agent->metadata.token) {
		*ret_source = agent->metadata.token_source;
		return token_memory(agent->metadata.token, agent->metadata.token_size,
				    ret_fd, err);
	}
	if (agent->settings.license.token_file[0]) {
		*ret_source = "license.token_file";
		return open_token_file(agent, ret_fd, err);
	}
	*ret_source = SOURCE_INSTALLED;
	return token_open_installed(&agent->root, ret_fd, ret_count, err);
}

static bool has_problem(const struct json *check, const char *code)
{
	const struct json *problems = json_get(check, "problems");

	for (size_t i = 0; i < json_count(problems); i++) {
		const char *found = json_get_string(json_at(problems, i), "code");

		if (found && strcmp(found, code) == 0)
			return true;
	}
	return false;
}

static bool is_about_time(const struct json *check)
{
	return has_problem(check, "expired") || has_problem(check, "not_yet_valid");
}

/* At first boot the clock may be years off until NTP has set it: then time judges
 * nothing.
 */
static int wait_for_clock(struct agent *agent, struct error *err)
{
	double end = clock_monotonic() + agent->settings.license.wait;

	if (agent->offline)
		return 0;
	if (!clock_is_synchronized())
		log_line(LOG_LEVEL_NOTICE, "token      waiting for the clock to be set");
	while (!clock_is_synchronized() && clock_monotonic() < end) {
		if (clock_sleep(1, agent->runner.cancel_fd, err) < 0)
			return -1;
	}
	return 0;
}

/* The worker that brought a token has judged it, too. */
static int check_token(struct agent *agent, int fd, const char *source,
		       struct json **ret_check, struct error *err)
{
	const struct metadata *metadata = &agent->metadata;

	if (!metadata->token_check || source != metadata->token_source)
		return token_check(fd, &agent->channel, ret_check, err);
	*ret_check = json_build("O", metadata->token_check);
	return *ret_check ? 0 : error_set_errno(err, ENOMEM, "checking the token");
}

static int judge_token(struct agent *agent, int fd, size_t count, const char *source,
		       struct outcome *outcome, struct error *err)
{
	cleanup_json struct json *first = NULL, *second = NULL;
	struct json *check;

	if (check_token(agent, fd, source, &first, err) < 0)
		return -1;
	if (is_about_time(first) && (wait_for_clock(agent, err) < 0 ||
				     token_check(fd, &agent->channel, &second, err) < 0))
		return -1;
	check = second ? second : first;

	if (count > 1 && token_add_several(check, count) < 0)
		return error_set_errno(err, ENOMEM, "checking the token");
	if (token_accept(check, outcome->warning, sizeof(outcome->warning), err) < 0)
		return error_prefix(err, "%s", source);
	return 0;
}

static int no_token(struct agent *agent, struct outcome *outcome, struct error *err)
{
	if (!is_needed(agent) || agent->offline) {
		skip(outcome, agent->offline
				      ? "no token: the guest's metadata may have one"
				      : "no GPU here needs a license");
		return 0;
	}
	(void)error_set(
		err, ERROR_TOKEN,
		"there is no client configuration token: none in the metadata, no "
		"license.token_file, none in " PATHS_TOKENS);
	return error_hint(err, HINT_GET_TOKEN);
}

int licensing_token(struct agent *agent, struct outcome *outcome, struct error *err)
{
	cleanup_fd int fd = -1;
	bool changed = false;
	const char *source;
	size_t count = 0;

	if (licensing_open_token(agent, &fd, &count, &source, err) < 0)
		return -1;
	if (fd < 0)
		return no_token(agent, outcome, err);
	if (judge_token(agent, fd, count, source, outcome, err) < 0)
		return -1;

	if (token_trial_refuses(agent, fd)) {
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "%s has one that did not license before: the installed "
				  "one stays",
				  source);
		return 0;
	}
	if (token_trial_begin(agent, fd, err) < 0)
		return -1;

	/* The installed one stays where it is, whatever it is called. */
	if (strcmp(source, SOURCE_INSTALLED) != 0 &&
	    token_install(fd, (unsigned)agent->settings.license.token_mode, &agent->root,
			  &changed, err) < 0)
		return -1;
	outcome->kind = changed ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "%s%s", source,
			  changed ? ", installed" : "");
	return 0;
}

/* Microseconds since 1970 of the last change of what the daemon reads at its start. */
static int64_t youngest_input(const struct agent *agent)
{
	static const char *const paths[] = { PATHS_GRIDD_CONF, PATHS_TOKENS, PATHS_TOKEN,
					     PATHS_GRIDD };
	int64_t youngest = 0;

	for (size_t i = 0; i < ARRAY_SIZE(paths); i++) {
		struct stat st;
		int64_t changed;

		if (!root_stat(&agent->root, paths[i], &st))
			continue;
		changed =
			(int64_t)st.st_ctim.tv_sec * 1000000 + st.st_ctim.tv_nsec / 1000;
		if (changed > youngest)
			youngest = changed;
	}
	return youngest;
}

/* With the reason that `status` will give for it. */
static int explain(struct agent *agent, struct error *err)
{
	struct license_reason reason = { 0 };
	struct gridd_state state = { 0 };
	struct error ignored = ERROR_INIT;

	if (err->interrupted || err->code != ERROR_UNLICENSED)
		return -1;
	reason_find(agent, NULL, &reason);
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

int licensing_gridd(struct agent *agent, struct outcome *outcome, struct error *err)
{
	struct gridd_state state = { 0 };

	if (!is_needed(agent)) {
		skip(outcome, "no GPU here needs a license");
		return 0;
	}
	if (gridd_look(&state, err) < 0)
		return -1;
	if (!state.exists && agent->job != AGENT_RUN) {
		skip(outcome, "nvidia-gridd is not installed yet");
		return 0;
	}
	if (state.active && state.enabled && !agent->units_changed && !agent->loaded &&
	    state.started >= youngest_input(agent)) {
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  PATHS_GRIDD_UNIT " is %s, nothing it reads has changed",
				  state.detail);
		return 0;
	}

	if (gridd_restart(agent->units_changed || !state.exists, GRIDD_TIMEOUT_S,
			  agent->runner.cancel_fd, err) < 0)
		return explain(agent, err);
	agent->restarted = true;
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
static bool was_seen_licensed(const struct agent *agent)
{
	return !agent->restarted &&
	       license_all_held(&agent->license, agent->gpus.count,
				agent->settings.license.feature_type);
}

int licensing_license(struct agent *agent, struct outcome *outcome, struct error *err)
{
	struct waiting waiting = { .license = &agent->settings.license };
	struct poll_wait wait = {
		.wait_s = (unsigned)agent->settings.license.wait,
		.feature_type = agent->settings.license.feature_type,
		.expected = agent->gpus.count,
		.each = say_waiting,
		.context = &waiting,
	};
	const struct license_report *report = &agent->license;
	struct error left = ERROR_INIT;

	if (!was_seen_licensed(agent) &&
	    poll_until_licensed(&agent->runner, &agent->root, &wait, &agent->license,
				err) < 0) {
		(void)explain(agent, err);
		token_trial_undo(agent, err);
		return -1;
	}
	if (is_needed(agent) && token_forget_older(&agent->root, &left) < 0)
		(void)text_copy(outcome->warning, sizeof(outcome->warning), left.text);

	for (size_t i = 0; i < report->count; i++) {
		const struct license_gpu *gpu = &report->gpus[i];

		if (gpu->feature_count > 0 && license_held(gpu)) {
			(void)text_format(outcome->detail, sizeof(outcome->detail),
					  "%s: %s", gpu->name, gpu->features[0].status);
			return 0;
		}
	}
	(void)text_copy(outcome->detail, sizeof(outcome->detail),
			"no GPU here needs a license");
	return 0;
}

int licensing_check_missing(const char *path, struct json **ret_report, struct error *err)
{
	*ret_report = json_build(
		"{s:i, s:b, s:[{s:s, s:s, s:o}], s:n, s:n, s:n, s:[], s:s, s:i}",
		"schema", 1, "valid", 0, "problems", "code", "missing", "severity",
		"error", "message", json_build("s", "there is no token"), "issued",
		"not_before", "expires", "servers", "signature", "absent", "size", 0);
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "checking the token");
	(void)error_set(err, ERROR_TOKEN, "%s: there is no token", path);
	return error_hint(err, HINT_GET_TOKEN);
}

int licensing_check(struct agent *agent, struct json **ret_report, struct error *err)
{
	cleanup_json struct json *check = NULL;
	cleanup_fd int fd = -1;
	char warning[256] = "";
	const char *source;
	size_t count = 0;

	if (licensing_open_token(agent, &fd, &count, &source, err) < 0)
		return -1;
	if (fd < 0)
		return licensing_check_missing(PATHS_TOKENS, ret_report, err);
	if (token_check(fd, &agent->channel, &check, err) < 0)
		return -1;
	if (count > 1 && token_add_several(check, count) < 0)
		return error_set_errno(err, ENOMEM, "checking the token");

	if (token_accept(check, warning, sizeof(warning), err) == 0 &&
	    !token_is_suspect(check)) {
		*ret_report = take_ptr(check);
		return 0;
	}
	if (err->code == ERROR_NONE) {
		(void)error_set(err, ERROR_TOKEN, "%s", warning);
		(void)error_hint(
			err,
			"see whether the clock is right (date -u); else " HINT_GET_TOKEN);
	} else {
		(void)error_hint(err, HINT_GET_TOKEN);
	}
	*ret_report = take_ptr(check);
	return error_prefix(err, "%s", source);
}
