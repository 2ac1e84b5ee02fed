/* SPDX-License-Identifier: Apache-2.0 */
#include "core/last_run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "model/paths.h"
#include "model/url.h"

#define SIZE_MAX_READ (64u << 10)

/* The server that the drivers come from; NULL where none is named, or it is a file. */
static const char *repository_host(const struct settings_driver *driver,
				   struct url *ret_url)
{
	const char *text = driver->url[0] ? driver->url : driver->repository;

	return text[0] && url_parse(text, ret_url) ? ret_url->host : NULL;
}

static int write_file(const struct context *ctx, const struct guest *guest,
		      int64_t token_expires, const struct error *failed,
		      struct error *err)
{
	char now[CLOCK_TEXT_SIZE], expires[CLOCK_TEXT_SIZE];
	enum error_code code = failed ? failed->code : ERROR_NONE;
	cleanup_json struct json *json = NULL;
	cleanup_free char *text = NULL;
	struct url url;

	json = json_build(
		"{s:i, s:s, s:s?, s:s, s:i, s:o, s:o, s:o, s:s?, s:o}", "schema", 1,
		"timestamp", clock_text(clock_now(), now, sizeof(now)), "step",
		failed ? ctx->tools->step : NULL, "name", error_code_name(code), "status",
		(int)code, "message", json_words_or_null(failed ? failed->text : NULL),
		"hint", json_words_or_null(failed ? failed->hint : NULL), "host_version",
		json_words_or_null(guest->host.version), "token_expires",
		token_expires ? clock_text(token_expires, expires, sizeof(expires))
			      : NULL,
		"repository",
		json_words_or_null(repository_host(&ctx->settings.driver, &url)));
	text = json ? json_print(json) : NULL;
	if (!text)
		return error_set_errno(err, ENOMEM, "writing %s", PATHS_LAST_RUN);
	return file_write_atomic(&ctx->root, PATHS_LAST_RUN, text, strlen(text), 0644,
				 err);
}

void last_run_write(const struct context *ctx, const struct guest *guest,
		    int64_t token_expires, int result, const struct error *error)
{
	struct error err = ERROR_INIT;

	if (ctx->offline || guest->gpus.count == 0)
		return;
	if (write_file(ctx, guest, token_expires, result < 0 ? error : NULL, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: telling of the run: %s", err.text);
}

void last_run_say_final(const struct root *root, const struct error *error)
{
	const char *start = getenv("INVOCATION_ID"); /* of systemd, for each start */
	cleanup_free char *line = NULL;
	struct error err = ERROR_INIT;

	/* Without a GPU all is well, and the service stays active. */
	if (!start || error->passing || error->code == ERROR_NO_GPU)
		return;
	line = text_print("%s\n", start);
	if (!line)
		(void)error_set_errno(&err, ENOMEM, "writing %s", PATHS_FINAL);
	if (!line ||
	    file_write_atomic(root, PATHS_FINAL, line, strlen(line), 0644, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: telling the timer: %s", err.text);
}

struct json *last_run_read(const struct root *root)
{
	struct json *run = NULL;
	cleanup_free char *text = NULL;
	struct error ignored = ERROR_INIT;
	size_t size;

	if (file_read(root, PATHS_LAST_RUN, SIZE_MAX_READ, &text, &size, &ignored) < 0 ||
	    json_parse(text, size, &run, &ignored) < 0)
		return NULL;
	return run;
}

int last_run_add(struct json *status, struct json *run)
{
	static const char *const others[] = { "schema", "timestamp", "host_version",
					      "token_expires", "repository" };

	for (size_t i = 0; run && i < ARRAY_SIZE(others); i++)
		json_free(json_take(run, others[i]));
	return json_set(status, "run", run ? run : json_build("n"));
}

/* 0 where the key is missing or no time. */
static int64_t read_time(const struct json *run, const char *key)
{
	const char *text = json_get_string(run, key);
	int64_t time = 0;

	return text && clock_read(text, &time) ? time : 0;
}

void last_run_tell(const struct json *run, struct metrics *metrics)
{
	metrics->agent_version = VGPU_VERSION;
	if (!run)
		return;
	metrics->run_at = read_time(run, "timestamp");
	metrics->run_status = (int)json_get_int(run, "status", 0);
	metrics->run_step = json_get_words(run, "step");
	metrics->run_name = json_get_words(run, "name");
	metrics->repository = json_get_words(run, "repository");
	if (!metrics->host_version[0])
		metrics->host_version = json_get_words(run, "host_version");
	if (!metrics->token_expires)
		metrics->token_expires = read_time(run, "token_expires");
}
