/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/confine.h"
#include "base/log.h"
#include "base/text.h"
#include "core/transport.h"
#include "model/paths.h"
#include "model/url.h"
#include "steps/layers.h"

#define WORKER_SILENCE_S 900 /* an on-demand Pulp may say nothing for minutes */
#define LOGS_KEPT 5

static void show_progress(void *context, const struct json *progress)
{
	const struct tools *tools = context;
	int64_t waiting = json_get_int(progress, "waiting", 0);
	const char *said = json_get_string(progress, "why");
	char why[256] = "";

	if (waiting > 0) {
		(void)text_copy(why, sizeof(why), said && said[0] ? said : "no answer");
		text_sanitize(why);
		log_line(LOG_LEVEL_NOTICE, "%-9s  %s: trying again in %lld s",
			 tools->step, why, (long long)waiting);
		return;
	}
	log_progress(tools->step, (uint64_t)json_get_int(progress, "done", 0),
		     (uint64_t)json_get_int(progress, "total", 0));
}

static bool is_local(const char *text)
{
	struct url url;

	return text && url_parse(text, &url) && url_is_local(&url);
}

/*
 * A redirect to another port: no server of the network may send us to this machine. That
 * the name of the host leads nowhere else the worker looks after, when it connects.
 */
static bool may_connect(void *context, const struct json *request, const char *host,
			unsigned port)
{
	static const char *const keys[] = { "url", "repository", "service" };
	struct url url = { .port = port };
	bool ours = false;

	(void)context;
	if (!text_copy(url.host, sizeof(url.host), host))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++)
		ours |= is_local(json_get_string(request, keys[i]));
	if (url_is_local(&url) && !ours)
		return false;
	log_line(LOG_LEVEL_INFO, "worker     redirected to port %u of %s", port,
		 url.host);
	return true;
}

void context_tools_init(struct tools *ret_tools, int cancel_fd)
{
	*ret_tools = (struct tools){
		.runner = run_runner(cancel_fd),
		.log_fd = -1,
		.step = "",
	};
	ret_tools->channel = (struct channel){
		.worker = ret_tools->worker,
		.silence_s = WORKER_SILENCE_S,
		.cancel_fd = cancel_fd,
		.progress = show_progress,
		.may_connect = may_connect,
		.context = ret_tools,
	};
}

void context_tools_close(struct tools *tools)
{
	if (tools->transport_ready)
		transport_done(&tools->transport);
	tools->transport_ready = false;
	if (tools->log_fd >= 0)
		(void)close(tools->log_fd);
	tools->log_fd = -1;
}

const struct root *context_cache(const struct context *ctx)
{
	return ctx->job & JOB_APART ? &ctx->cache : &ctx->root;
}

const struct root *context_root_of(const struct context *ctx, const char *setting)
{
	return settings_is_callers(&ctx->settings, setting) ? &ctx->caller : &ctx->root;
}

/* -v: what holds the worker here. That its user is missing is said anyway. */
static void tell_layers(const struct channel *channel)
{
	struct error ignored = ERROR_INIT;
	struct confine confine;
	enum layers_state state;
	char words[256];

	if (!confine_begin(&confine) && confine.root)
		log_line(LOG_LEVEL_WARNING,
			 "worker     the user " CONFINE_USER
			 " is missing, which the package makes: using %u",
			 confine.uid);
	if (log_shows(LOG_LEVEL_INFO) &&
	    layers_ask(channel, &state, words, sizeof(words), &ignored) == 0)
		log_line(LOG_LEVEL_INFO, "worker     %s", words);
}

int context_need_system(const struct context *ctx, const char *what, struct error *err)
{
	if (!ctx->offline)
		return 0;
	(void)error_set(err, ERROR_USAGE, "%s: not offline", what);
	return error_hint(err, "call it in the running guest, without --offline and "
			       "--root");
}

const struct transport *context_transport(const struct context *ctx, struct error *err)
{
	struct tools *tools = ctx->tools;

	if (tools->transport_ready)
		return &tools->transport;
	if (transport_open(&ctx->settings, &ctx->base, &ctx->root, &ctx->caller,
			   &tools->transport, err) < 0)
		return NULL;
	tools->transport_ready = true;
	tell_layers(ctx->channel);
	return &tools->transport;
}

/* Their names are their times: sorted is oldest first. */
static int drop_old_logs(const struct root *root, struct error *err)
{
	cleanup_strv char **names = NULL;
	size_t count = 0;

	if (root_list(root, PATHS_LOGS, 1000, &names, err) < 0)
		return -1;
	while (names[count])
		count++;
	for (size_t i = 0; i + LOGS_KEPT <= count; i++) {
		char path[512];

		if (text_format(path, sizeof(path), PATHS_LOGS "/%s", names[i]) &&
		    root_unlink(root, path, err) < 0)
			return -1;
	}
	return 0;
}

int context_log(const struct context *ctx, struct error *err)
{
	struct tools *tools = ctx->tools;
	char time[CLOCK_TEXT_SIZE];

	if (tools->log_fd >= 0)
		return 0;
	if (root_mkdir(&ctx->root, PATHS_LOGS, 0755, err) < 0 ||
	    drop_old_logs(&ctx->root, err) < 0)
		return -1;

	text_path(tools->log_path, sizeof(tools->log_path), PATHS_LOGS "/run-%s.log",
		  clock_text(clock_now(), time, sizeof(time)));
	tools->log_fd = root_open_at(&ctx->root, tools->log_path,
				     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640,
				     err);
	return tools->log_fd < 0 ? -1 : 0;
}
