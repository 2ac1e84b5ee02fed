/* SPDX-License-Identifier: Apache-2.0 */
#include "license/token_watch.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <syslog.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "core/journal.h"
#include "model/event.h"
#include "model/paths.h"
#include "steps/announce.h"
#include "steps/gridd.h"
#include "steps/metadata.h"
#include "steps/poll.h"
#include "steps/token.h"

#define METADATA_TIMEOUT_S 5
#define GRIDD_TIMEOUT_S 90
#define SMI_TIMEOUT_S 30

/* A token's text in our memory. */
struct text {
	char *at;
	size_t size;
};

static void wipe(char **text, size_t size)
{
	if (*text)
		explicit_bzero(*text, size);
	free(*text);
	*text = NULL;
}

static void text_done(struct text *text)
{
	wipe(&text->at, text->size);
}

void token_watch_done(struct token_watch *rotation)
{
	wipe(&rotation->metadata, rotation->metadata_size);
	wipe(&rotation->asked, rotation->asked_size);
}

static bool is_same(const struct text *a, const char *b, size_t size)
{
	return b && a->size == size && memcmp(a->at, b, size) == 0;
}

/* Only the service: the drive is a snapshot of the first boot. None is no error. */
static int ask_metadata(struct token_watch *rotation, struct agent *agent,
			struct error *err)
{
	struct settings_metadata settings = agent->settings.metadata;
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	struct error why = ERROR_INIT;

	if (!settings.enabled || !settings.metadata_service)
		return 0;
	settings.config_drive = false;
	if (settings.timeout > METADATA_TIMEOUT_S)
		settings.timeout = METADATA_TIMEOUT_S;
	if (metadata_read(&settings, &agent->root, &agent->runner, &agent->channel,
			  &metadata, &why) < 0) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	if (!metadata.token)
		return 0;
	wipe(&rotation->metadata, rotation->metadata_size);
	rotation->metadata = take_ptr(metadata.token);
	rotation->metadata_size = metadata.token_size;
	return 0;
}

static const struct root *root_of_file(const struct agent *agent)
{
	return settings_is_callers(&agent->settings, "license.token_file")
		       ? &agent->caller
		       : &agent->root;
}

/* The first of the sources that has one; nothing where none has, or we may not read it.
 */
static void read_wanted(const struct token_watch *rotation, const struct agent *agent,
			struct text *ret_text, bool *ret_denied)
{
	const char *path = agent->settings.license.token_file;
	struct error err = ERROR_INIT;

	*ret_denied = false;

	if (rotation->metadata) {
		ret_text->at = strndup(rotation->metadata, rotation->metadata_size);
		ret_text->size = ret_text->at ? rotation->metadata_size : 0;
		return;
	}
	if (path[0] && file_read(root_of_file(agent), path, TOKEN_SIZE_MAX, &ret_text->at,
				 &ret_text->size, &err) < 0) {
		*ret_text = (struct text){ .at = NULL };
		*ret_denied = err.errnum == EACCES || err.errnum == EPERM;
	}
}

static bool read_installed(const struct agent *agent, struct text *ret_text)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = -1;
	size_t count;

	return token_open_installed(&agent->root, &fd, &count, &ignored) == 0 &&
	       fd >= 0 &&
	       file_read_fd(fd, TOKEN_SIZE_MAX, &ret_text->at, &ret_text->size,
			    &ignored) == 0;
}

/* A .path unit waits for this file, which the root unit removes before it looks. */
static bool wake_root(const struct agent *agent)
{
	struct error err = ERROR_INIT;
	char time[CLOCK_TEXT_SIZE];

	(void)clock_text(clock_now(), time, sizeof(time));
	if (root_mkdir(&agent->root, PATHS_RUN, 0755, &err) < 0 ||
	    file_write_atomic(&agent->root, PATHS_ROTATE, time, strlen(time), 0644,
			      &err) < 0) {
		log_line(LOG_LEVEL_WARNING, "warning: asking for the new token: %s",
			 err.text);
		return false;
	}
	journal_event(JOURNAL_TOKEN_NEW, LOG_NOTICE,
		      "there is a new client configuration token: it will be installed");
	return true;
}

static bool is_same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino &&
	       a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
	       a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* A token_file for root alone: that it has changed can be seen all the same. */
static void ask_for_changed(struct token_watch *rotation, const struct agent *agent)
{
	struct stat now;

	if (!root_stat(root_of_file(agent), agent->settings.license.token_file, &now))
		return;
	if (rotation->file_known && is_same_file(&now, &rotation->file))
		return;
	if (rotation->file_known && !wake_root(agent))
		return;
	rotation->file = now;
	rotation->file_known = true;
}

static void ask_for_new(struct token_watch *rotation, const struct agent *agent)
{
	cleanup(text_done) struct text wanted = { .at = NULL };
	cleanup(text_done) struct text installed = { .at = NULL };
	bool readable = read_installed(agent, &installed);
	bool first = !rotation->known, denied;

	read_wanted(rotation, agent, &wanted, &denied);
	if (denied)
		ask_for_changed(rotation, agent);
	if (!wanted.at || wanted.size == 0)
		return;
	rotation->known = true;
	if ((readable && is_same(&installed, wanted.at, wanted.size)) ||
	    is_same(&wanted, rotation->asked, rotation->asked_size))
		return;

	/* Where we may not read the installed one, only a change tells anything. */
	if ((readable || !first) && !wake_root(agent))
		return;
	wipe(&rotation->asked, rotation->asked_size);
	rotation->asked = take_ptr(wanted.at);
	rotation->asked_size = wanted.size;
}

static int read_expiry(struct token_watch *rotation, const struct agent *agent,
		       struct error *err)
{
	cleanup_json struct json *check = NULL;
	struct error why = ERROR_INIT;
	cleanup_fd int fd = -1;
	const char *expires;
	size_t count;

	rotation->expires = 0;
	rotation->stage = 0;
	if (token_open_installed(&agent->root, &fd, &count, &why) < 0 || fd < 0)
		return 0;
	if (token_check(fd, &agent->channel, &check, &why) < 0) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	expires = json_get_string(check, "expires");
	if (expires && !clock_read(expires, &rotation->expires))
		rotation->expires = 0;
	return 0;
}

static void tell_expiry(struct token_watch *rotation)
{
	unsigned stage;
	char text[160], when[CLOCK_TEXT_SIZE];

	if (rotation->expires == 0)
		return;
	stage = event_token_stage(rotation->expires - clock_now());
	if (stage <= rotation->stage)
		return;
	rotation->stage = stage;
	(void)text_format(text, sizeof(text), "the client configuration token %s %s",
			  stage == 4 ? "has expired at" : "expires at",
			  clock_text(rotation->expires, when, sizeof(when)));
	journal_event(JOURNAL_TOKEN_EXPIRING, stage >= 3 ? LOG_ERR : LOG_WARNING, text);
}

int token_watch_look(struct token_watch *rotation, struct agent *agent, bool metadata,
		     struct error *err)
{
	if (metadata && ask_metadata(rotation, agent, err) < 0)
		return -1;
	if (!metadata && read_expiry(rotation, agent, err) < 0)
		return -1;
	tell_expiry(rotation);
	ask_for_new(rotation, agent);
	return 0;
}

int token_trial_begin(struct agent *agent, int fd, struct error *err)
{
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	cleanup_fd int old = -1;
	struct error why = ERROR_INIT;
	size_t count;

	if (!report)
		return error_set_errno(err, ENOMEM, "keeping the token");
	if (agent->offline || agent->job != AGENT_RUN ||
	    token_open_installed(&agent->root, &old, &count, &why) < 0 || old < 0 ||
	    token_same(fd, old))
		return 0;
	if (poll_smi(&agent->runner, &agent->root, SMI_TIMEOUT_S, report, &why) < 0 ||
	    !license_all_held(report, agent->gpus.count,
			      agent->settings.license.feature_type)) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	return token_keep_licensed(&agent->root, err);
}

bool token_trial_refuses(const struct agent *agent, int fd)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int old = -1;
	size_t count;

	return !agent->offline && agent->job == AGENT_RUN &&
	       token_is_rejected(&agent->root, fd) &&
	       token_open_installed(&agent->root, &old, &count, &ignored) == 0 &&
	       old >= 0 && !token_same(fd, old);
}

static int put_back(struct agent *agent, int old, int rejected, struct error *err)
{
	struct poll_wait wait = {
		.wait_s = (unsigned)agent->settings.license.wait,
		.feature_type = agent->settings.license.feature_type,
		.expected = agent->gpus.count,
	};
	bool changed;

	if ((rejected >= 0 && token_reject(&agent->root, rejected, err) < 0) ||
	    token_install(old, (unsigned)agent->settings.license.token_mode, &agent->root,
			  &changed, err) < 0 ||
	    gridd_restart(false, GRIDD_TIMEOUT_S, agent->runner.cancel_fd, err) < 0)
		return -1;
	return poll_until_licensed(&agent->runner, &agent->root, &wait, &agent->license,
				   err);
}

void token_trial_undo(struct agent *agent, struct error *err)
{
	cleanup_fd int old = token_open_licensed(&agent->root), rejected = -1;
	struct error why = ERROR_INIT;
	char text[256];
	size_t count;

	if (err->interrupted || err->code != ERROR_UNLICENSED || old < 0 ||
	    token_open_installed(&agent->root, &rejected, &count, &why) < 0 ||
	    (rejected >= 0 && token_same(old, rejected)))
		return;
	log_line(LOG_LEVEL_NOTICE, "license    putting the token before back: %s",
		 err->text);
	(void)text_copy(text, sizeof(text), err->text);
	if (put_back(agent, old, rejected, &why) < 0) {
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
