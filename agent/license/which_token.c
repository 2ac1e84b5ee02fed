/* SPDX-License-Identifier: Apache-2.0 */
#include "license/which_token.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "base/trust.h"
#include "model/paths.h"

#define HINT_GET_TOKEN \
	"get one from the license server and run: vgpu-guest-agent token install FILE"

static int open_token_file(const struct context *ctx, int *ret_fd, struct error *err)
{
	if (trust_open(context_root_of(ctx, "license.token_file"),
		       ctx->settings.license.token_file, TRUST_PUBLIC, ret_fd, err) == 0)
		return 0;
	if (err->code == ERROR_USAGE)
		return error_prefix(err, "license.token_file");
	if (err->code != ERROR_PERMISSION)
		(void)error_recode(err, ERROR_TOKEN);
	return error_hint(err, "license.token_file names it");
}

/* Who writes into a pipe may be slow; a signal ends the wait. */
static int wait_for_more(int fd, int cancel_fd, struct error *err)
{
	struct pollfd polls[] = { { .fd = fd, .events = POLLIN },
				  { .fd = cancel_fd, .events = POLLIN } };

	if (poll(polls, ARRAY_SIZE(polls), -1) < 0 && errno != EINTR)
		return error_set_errno(err, errno, "waiting for the token");
	return polls[1].revents ? error_set_interrupted(err) : 0;
}

/*
 * It may be a pipe: what was checked must be what is installed. A byte more than a token
 * may have is enough for the check to say that it is too large.
 */
static int copy_token(const struct lease *lease, int cancel_fd, int *ret_fd,
		      struct error *err)
{
	char text[TOKEN_SIZE_MAX + 1];
	size_t size = 0;
	ssize_t n = 1;
	int result;

	while (n != 0 && size < sizeof(text)) {
		n = read(lease->token_fd, text + size, sizeof(text) - size);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN) {
			if (wait_for_more(lease->token_fd, cancel_fd, err) < 0)
				return -1;
			continue;
		}
		if (n < 0) {
			(void)error_set_errno(err, errno, "reading %s",
					      lease->token_path);
			return error_recode(err, ERROR_TOKEN);
		}
		size += (size_t)n;
	}

	result = token_memory(text, size, ret_fd, err);
	explicit_bzero(text, size);
	return result;
}

int which_token_open(const struct context *ctx, const struct metadata *metadata,
		     const struct lease *lease, struct which_token *ret_token,
		     struct error *err)
{
	ret_token->count = 1;

	if (lease->token_fd >= 0) {
		ret_token->source = lease->token_path;
		return copy_token(lease, ctx->runner->cancel_fd, &ret_token->fd, err);
	}
	if (ctx->options->unattended && ctx->job == JOB_RUN &&
	    token_is_by_hand(&ctx->root)) {
		ret_token->source = "the token installed by hand";
		ret_token->installed = true;
		return token_open_installed(&ctx->root, &ret_token->fd, &ret_token->count,
					    err);
	}
	if (metadata->token) {
		ret_token->source = metadata->token_source;
		ret_token->judged = metadata->token_check;
		return token_memory(metadata->token, metadata->token_size, &ret_token->fd,
				    err);
	}
	/* A silent service's token comes before the file, too: as it is installed. */
	if (ctx->settings.license.token_file[0] && !metadata->keeps_token) {
		ret_token->source = "license.token_file";
		return open_token_file(ctx, &ret_token->fd, err);
	}
	ret_token->source = "the installed token";
	ret_token->installed = true;
	return token_open_installed(&ctx->root, &ret_token->fd, &ret_token->count, err);
}

void which_token_done(struct which_token *token)
{
	if (token->fd >= 0)
		(void)close(token->fd);
	token->fd = -1;
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
static int wait_for_clock(const struct context *ctx, struct error *err)
{
	double end = clock_monotonic() + ctx->settings.license.wait;

	if (ctx->offline)
		return 0;
	if (!clock_is_synchronized())
		log_line(LOG_LEVEL_NOTICE, "token      waiting for the clock to be set");
	while (!clock_is_synchronized() && clock_monotonic() < end) {
		if (clock_sleep(1, ctx->runner->cancel_fd, err) < 0)
			return -1;
	}
	return 0;
}

/* The worker that brought a token from the metadata has judged it, too. */
static int check_token(const struct context *ctx, const struct which_token *token,
		       struct json **ret_check, struct error *err)
{
	if (!token->judged)
		return token_check(token->fd, ctx->channel, ret_check, err);
	*ret_check = json_build("O", token->judged);
	return *ret_check ? 0 : error_set_errno(err, ENOMEM, "checking the token");
}

static int64_t expiry_of(const struct json *check)
{
	const char *text = json_get_string(check, "expires");
	int64_t expires = 0;

	return text && clock_read(text, &expires) ? expires : 0;
}

int which_token_judge(const struct context *ctx, const struct which_token *token,
		      int64_t *ret_expires, struct outcome *outcome, struct error *err)
{
	cleanup_json struct json *first = NULL, *second = NULL;
	struct json *check;

	if (check_token(ctx, token, &first, err) < 0)
		return -1;
	if (is_about_time(first) &&
	    (wait_for_clock(ctx, err) < 0 ||
	     token_check(token->fd, ctx->channel, &second, err) < 0))
		return -1;
	check = second ? second : first;
	*ret_expires = expiry_of(check);

	if (token->count > 1 && token_add_several(check, token->count) < 0)
		return error_set_errno(err, ENOMEM, "checking the token");
	if (token_accept(check, outcome->warning, sizeof(outcome->warning), err) < 0)
		return error_prefix(err, "%s", token->source);
	return 0;
}

int which_token_none(const struct root *root, struct error *err)
{
	char folder[TOKEN_FOLDER_MAX];

	token_folder(root, folder);
	(void)error_set(
		err, ERROR_TOKEN,
		"there is no client configuration token: none in the metadata, no "
		"license.token_file, none in %s",
		folder);
	return error_hint(err, HINT_GET_TOKEN);
}

int which_token_report_missing(const char *path, struct json **ret_report,
			       struct error *err)
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

int which_token_report(const struct context *ctx, const struct lease *lease,
		       struct json **ret_report, struct error *err)
{
	cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
	const struct metadata none = METADATA_INIT;
	cleanup_json struct json *check = NULL;
	char warning[256] = "", folder[TOKEN_FOLDER_MAX];

	token_folder(&ctx->root, folder);
	if (which_token_open(ctx, &none, lease, &token, err) < 0)
		return -1;
	if (token.fd < 0)
		return which_token_report_missing(folder, ret_report, err);
	if (token_check(token.fd, ctx->channel, &check, err) < 0)
		return -1;
	if (token.count > 1 && token_add_several(check, token.count) < 0)
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
	return error_prefix(err, "%s", token.source);
}
