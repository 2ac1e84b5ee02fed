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
#include "base/trust.h"
#include "core/journal.h"
#include "model/license/event.h"
#include "model/paths.h"
#include "steps/fetch/metadata.h"
#include "steps/license/announce.h"
#include "steps/license/token.h"

#define METADATA_TIMEOUT_S 5

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

void token_watch_done(struct token_watch *watch)
{
	wipe(&watch->metadata, watch->metadata_size);
	wipe(&watch->asked, watch->asked_size);
}

static bool is_same(const struct text *a, const char *b, size_t size)
{
	return b && a->size == size && memcmp(a->at, b, size) == 0;
}

/* Only the service: the drive is a snapshot of the first boot. None is no error. */
static int ask_metadata(struct token_watch *watch, const struct context *ctx,
			struct error *err)
{
	struct settings_metadata settings = ctx->settings.metadata;
	cleanup(metadata_done) struct metadata metadata = METADATA_INIT;
	struct error why = ERROR_INIT;

	if (!settings.enabled || !settings.metadata_service)
		return 0;
	settings.config_drive = false;
	if (settings.timeout > METADATA_TIMEOUT_S)
		settings.timeout = METADATA_TIMEOUT_S;
	if (metadata_read(&settings, &ctx->root, ctx->channel, &metadata, &why) < 0) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	if (!metadata.token)
		return 0;
	wipe(&watch->metadata, watch->metadata_size);
	watch->metadata = take_ptr(metadata.token);
	watch->metadata_size = metadata.token_size;
	return 0;
}

/* The first of the sources that has one; nothing where none has, or we may not read it.
 */
static void read_wanted(const struct token_watch *watch, const struct context *ctx,
			struct text *ret_text, bool *ret_denied)
{
	const char *path = ctx->settings.license.token_file;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;

	*ret_denied = false;

	if (watch->metadata) {
		ret_text->at = strndup(watch->metadata, watch->metadata_size);
		ret_text->size = ret_text->at ? watch->metadata_size : 0;
		return;
	}
	if (path[0] && (trust_open(context_root_of(ctx, "license.token_file"), path,
				   TRUST_PUBLIC, &fd, &err) < 0 ||
			file_read_fd(fd, TOKEN_SIZE_MAX, &ret_text->at, &ret_text->size,
				     &err) < 0)) {
		*ret_text = (struct text){ .at = NULL };
		*ret_denied = err.errnum == EACCES || err.errnum == EPERM;
	}
}

static bool read_installed(const struct context *ctx, struct text *ret_text)
{
	struct error ignored = ERROR_INIT;
	cleanup_fd int fd = -1;
	size_t count;

	return token_open_installed(&ctx->root, &fd, &count, &ignored) == 0 && fd >= 0 &&
	       file_read_fd(fd, TOKEN_SIZE_MAX, &ret_text->at, &ret_text->size,
			    &ignored) == 0;
}

/* A .path unit waits for this file, which the root unit removes before it looks. */
static bool wake_root(const struct context *ctx)
{
	struct error err = ERROR_INIT;
	char time[CLOCK_TEXT_SIZE];

	(void)clock_text(clock_now(), time, sizeof(time));
	if (root_mkdir(&ctx->root, PATHS_RUN, 0755, &err) < 0 ||
	    file_write_atomic(&ctx->root, PATHS_ROTATE, time, strlen(time), 0644, &err) <
		    0) {
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
static void ask_for_changed(struct token_watch *watch, const struct context *ctx)
{
	struct stat now;

	if (!root_stat(context_root_of(ctx, "license.token_file"),
		       ctx->settings.license.token_file, &now))
		return;
	if (watch->file_known && is_same_file(&now, &watch->file))
		return;
	if (watch->file_known && !wake_root(ctx))
		return;
	watch->file = now;
	watch->file_known = true;
}

static void ask_for_new(struct token_watch *watch, const struct context *ctx)
{
	cleanup(text_done) struct text wanted = { .at = NULL };
	cleanup(text_done) struct text installed = { .at = NULL };
	bool readable = read_installed(ctx, &installed);
	bool first = !watch->known, denied;

	read_wanted(watch, ctx, &wanted, &denied);
	if (denied)
		ask_for_changed(watch, ctx);
	if (!wanted.at || wanted.size == 0)
		return;
	watch->known = true;
	if (is_same(&wanted, watch->asked, watch->asked_size))
		return;

	/* Where we may not read the installed one, only a change tells anything; and one
	 * that was put there by hand is to stay. */
	if (!(readable && is_same(&installed, wanted.at, wanted.size)) &&
	    !(first && (!readable || token_is_by_hand(&ctx->root))) && !wake_root(ctx))
		return;
	wipe(&watch->asked, watch->asked_size);
	watch->asked = take_ptr(wanted.at);
	watch->asked_size = wanted.size;
}

static int read_expiry(struct token_watch *watch, const struct context *ctx,
		       struct error *err)
{
	cleanup_json struct json *check = NULL;
	struct error why = ERROR_INIT;
	cleanup_fd int fd = -1;
	const char *expires;
	size_t count;

	watch->expires = 0;
	watch->stage = 0;
	if (token_open_installed(&ctx->root, &fd, &count, &why) < 0 || fd < 0)
		return 0;
	if (token_check(fd, ctx->channel, &check, &why) < 0) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	expires = json_get_string(check, "expires");
	if (expires && !clock_read(expires, &watch->expires))
		watch->expires = 0;
	return 0;
}

static void tell_expiry(struct token_watch *watch)
{
	unsigned stage;
	char text[160], when[CLOCK_TEXT_SIZE];

	if (watch->expires == 0)
		return;
	stage = event_token_stage(watch->expires - clock_now());
	if (stage <= watch->stage)
		return;
	watch->stage = stage;
	(void)text_format(text, sizeof(text), "the client configuration token %s %s",
			  stage == 4 ? "has expired at" : "expires at",
			  clock_text(watch->expires, when, sizeof(when)));
	journal_event(JOURNAL_TOKEN_EXPIRING, stage >= 3 ? LOG_ERR : LOG_WARNING, text);
}

int token_watch_look(struct token_watch *watch, const struct context *ctx, bool metadata,
		     struct error *err)
{
	if (metadata && ask_metadata(watch, ctx, err) < 0)
		return -1;
	if (!metadata && read_expiry(watch, ctx, err) < 0)
		return -1;
	tell_expiry(watch);
	ask_for_new(watch, ctx);
	return 0;
}
