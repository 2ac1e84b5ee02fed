/* SPDX-License-Identifier: Apache-2.0 */

/*
 * config show, config check: the configuration in force.
 */

#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/text.h"
#include "commands/commands.h"
#include "model/license/gridd_conf.h"
#include "model/url.h"

int command_config_show(struct agent *agent, const struct request *request,
			struct json **ret_report, struct error *err)
{
	(void)request;
	*ret_report = json_build("{s:i, s:o}", "schema", 1, "settings",
				 settings_json(&agent->context.settings));
	return *ret_report ? 0
			   : error_set_errno(err, ENOMEM, "showing the configuration");
}

static int add(struct json *warnings, const char *fmt, ...) printf_like(2, 3);

static int add(struct json *warnings, const char *fmt, ...)
{
	char line[512];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	text_sanitize(line);
	log_line(LOG_LEVEL_WARNING, "warning: %s", line);
	return json_append(warnings, json_words(line));
}

/* A file that a setting names; one that cannot be looked for is not told. */
static int check_file(const struct context *ctx, const char *setting, const char *path,
		      struct json *warnings)
{
	struct error ignored = ERROR_INIT;
	bool there;

	if (text_starts(path, "file://"))
		path += strlen("file://");
	if (path[0] != '/' ||
	    root_exists(context_root_of(ctx, setting), path, &there, &ignored) < 0)
		return 0;
	return there ? 0
		     : add(warnings, "%s (%s): %.300s is not there", setting,
			   settings_where(&ctx->settings, setting), path);
}

static int check_files(const struct context *ctx, struct json *warnings)
{
	const struct settings *settings = &ctx->settings;
	const struct {
		const char *setting, *path;
	} files[] = {
		{ "driver.url", settings->driver.url },
		{ "driver.catalog", settings->driver.catalog },
		{ "driver.index_key", settings->driver.index_key },
		{ "http.ca_file", settings->http.ca_file },
		{ "http.client_cert", settings->http.client_cert },
		{ "http.client_key", settings->http.client_key },
		{ "http.netrc_file", settings->http.netrc_file },
		{ "http.header_file", settings->http.header_file },
		{ "license.token_file", settings->license.token_file },
		{ "signing.key", settings->signing.key },
		{ "signing.cert", settings->signing.cert },
	};

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		if (check_file(ctx, files[i].setting, files[i].path, warnings) < 0)
			return -1;
	}
	return 0;
}

static int check_gridd(const struct settings *settings, struct json *warnings)
{
	for (size_t i = 0; i < settings->license.gridd_count; i++) {
		const struct settings_gridd *gridd = &settings->license.gridd[i];
		const char *near = gridd_conf_near(gridd->key);

		if (near &&
		    add(warnings,
			"license.gridd.%s (%s) is no option that NVIDIA documents: "
			"did you mean %s?",
			gridd->key, gridd->origin.where, near) < 0)
			return -1;
	}
	return 0;
}

/* "FILE:LINE", where others than its owner may read the file. */
static bool is_readable_file(const struct root *root, const char *where)
{
	const char *colon = strrchr(where, ':');
	char path[SETTINGS_PATH_MAX];
	struct error ignored = ERROR_INIT;
	struct stat st;
	bool there;

	return where[0] == '/' && colon &&
	       text_format(path, sizeof(path), "%.*s", (int)(colon - where), where) &&
	       root_look(root, path, &there, &st, &ignored) == 0 && there &&
	       st.st_mode & (S_IRGRP | S_IROTH);
}

static int check_passwords(const struct context *ctx, struct json *warnings)
{
	const struct settings *settings = &ctx->settings;
	const struct {
		const char *setting, *url;
	} urls[] = {
		{ "driver.repository", settings->driver.repository },
		{ "driver.url", settings->driver.url },
		{ "driver.catalog", settings->driver.catalog },
		{ "http.proxy", settings->http.proxy },
	};

	for (size_t i = 0; i < ARRAY_SIZE(urls); i++) {
		const char *where = settings_where(settings, urls[i].setting);

		if (!url_has_password(urls[i].url) ||
		    !is_readable_file(&ctx->root, where))
			continue;
		if (add(warnings,
			"%s (%s) holds a password, and everybody may read that file: chmod "
			"0600, or use http.netrc_file",
			urls[i].setting, where) < 0)
			return -1;
	}
	return 0;
}

int command_config_check(struct agent *agent, const struct request *request,
			 struct json **ret_report, struct error *err)
{
	const struct context *ctx = &agent->context;
	cleanup_json struct json *warnings = json_build("[]");

	(void)request;
	if (!warnings || check_files(ctx, warnings) < 0 ||
	    check_gridd(&ctx->settings, warnings) < 0 ||
	    check_passwords(ctx, warnings) < 0)
		return error_set_errno(err, ENOMEM, "checking");
	*ret_report = json_build("{s:i, s:b, s:O}", "schema", 1, "valid", 1, "warnings",
				 warnings);
	return *ret_report ? 0 : error_set_errno(err, ENOMEM, "checking");
}
