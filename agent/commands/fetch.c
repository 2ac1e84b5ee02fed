/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/fetch.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "core/pipeline.h"
#include "model/paths.h"

#define CACHE_NAME ".vgpu-guest-agent"

/* In a folder like /tmp another user may have made it first, or a link in its place. */
static int open_private(const struct root *outer, struct root *ret_root,
			struct error *err)
{
	cleanup_fd int fd = root_open_at(outer, "/" CACHE_NAME,
					 O_PATH | O_DIRECTORY | O_NOFOLLOW, 0, err);
	struct stat st;

	if (fd < 0)
		return error_recode(err, ERROR_PERMISSION);
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "looking at " CACHE_NAME);
	if (st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH)) {
		(void)error_set(err, ERROR_PERMISSION,
				"others may write into " CACHE_NAME);
		return error_hint(err, "remove it, or name another folder with --output");
	}
	*ret_root = (struct root){ .fd = take_fd(fd) };
	return 0;
}

/*
 * The download's own root: a hidden folder in the caller's, so that what is kept for a
 * resume and the finished file lie on one file system and need no root.
 */
static int open_own_root(const char *dir, struct root *ret_root, struct error *err)
{
	cleanup(root_close) struct root outer = ROOT_INIT, own = ROOT_INIT;

	if (root_open(dir, &outer, err) < 0)
		return error_recode(err, err->code == ERROR_INTERNAL ? ERROR_USAGE
								     : err->code);
	if (root_mkdir(&outer, "/" CACHE_NAME, 0700, err) < 0) {
		(void)error_prefix(err, "%s", dir);
		return error_hint(err, "--output DIR names another folder");
	}
	if (open_private(&outer, &own, err) < 0 ||
	    root_mkdir(&own, PATHS_CACHE, 0700, err) < 0)
		return error_prefix(err, "%s", dir);
	*ret_root = own;
	own = ROOT_INIT;
	return 0;
}

/* The last component of a URL's path, as it stands before any query. */
static void name_of_url(const char *url, char *name, size_t size)
{
	char path[SETTINGS_URL_MAX];

	(void)text_copy(path, sizeof(path), url);
	path[strcspn(path, "?#")] = '\0';
	(void)text_copy(name, size, text_base_name(path));
}

static void own_name(const struct agent *agent, char *name, size_t size)
{
	const char *member = agent->content.member.name;

	if (member[0])
		(void)text_copy(name, size, text_base_name(member));
	else if (agent->match.rule == MATCH_URL)
		name_of_url(agent->settings.driver.url, name, size);
	else
		(void)text_copy(name, size, text_base_name(agent->match.package.name));
	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		(void)text_copy(name, size, "driver");
}

static struct json *report_json(struct agent *agent, const char *path, double seconds)
{
	const struct fetch_result *file = &agent->package;
	const struct package *package = &agent->match.package;
	/* A local bundle was hashed, and its member is what was taken out. */
	bool inside = agent->content.kind == PACKAGE_BUNDLE;

	return json_build("{s:i, s:o, s:s, s:s, s:I, s:s, s:s, s:I, s:f}", "schema", 1,
			  "path", json_text(path, strlen(path)), "version",
			  package->version, "kind", package_kind_name(package->kind),
			  "size",
			  (int64_t)(inside ? agent->content.member.size : file->size),
			  "sha256", package->sha256, "integrity",
			  fetch_integrity_name(file->integrity), "bytes_transferred",
			  (int64_t)file->bytes_transferred, "seconds", seconds);
}

static int publish(struct agent *agent, const char *dir, char *path, size_t size,
		   struct error *err)
{
	struct root outer = ROOT_INIT;
	char name[NAME_MAX + 1], from[PATH_MAX], to[NAME_MAX + 2];
	int result;

	own_name(agent, name, sizeof(name));
	if (!text_format(from, sizeof(from), "/" CACHE_NAME "%s", agent->package_path) ||
	    !text_format(to, sizeof(to), "/%s", name) ||
	    !text_format(path, size, "%s/%s", dir, name))
		return error_set_errno(err, ENAMETOOLONG, "naming %s", name);

	if (root_open(dir, &outer, err) < 0)
		return -1;
	result = root_rename(&outer, from, to, err);
	if (result == 0)
		result = root_remove_tree(&outer, "/" CACHE_NAME, err);
	root_close(&outer);
	return result;
}

/* What a later fetch can go on with stays, but not a file that was judged and is bad. */
static void drop_useless_cache(const struct agent *agent, const char *dir,
			       enum error_code why)
{
	cleanup_strv char **names = NULL;
	struct error ignored = ERROR_INIT;
	struct root outer = ROOT_INIT;

	if ((why == ERROR_INTEGRITY || why == ERROR_NO_MATCH) &&
	    fetch_prune(&agent->cache, NULL, &ignored) < 0)
		log_line(LOG_LEVEL_DEBUG, "%s", ignored.text);
	if (root_list(&agent->cache, PATHS_CACHE, 100, &names, &ignored) < 0 ||
	    names[0] || root_open(dir, &outer, &ignored) < 0)
		return;
	if (root_remove_tree(&outer, "/" CACHE_NAME, &ignored) < 0)
		log_line(LOG_LEVEL_DEBUG, "%s", ignored.text);
	root_close(&outer);
}

int command_fetch(struct agent *agent, const char *dir, struct json **ret_report,
		  struct error *err)
{
	struct pipeline_report report = { 0 };
	char path[PATH_MAX];
	cleanup_free char *absolute = root_absolute(dir);
	double begin = clock_monotonic();
	int result;

	if (!absolute) {
		(void)error_set_errno(err, errno, "--output %s", dir);
		return error_recode(err,
				    errno == EACCES ? ERROR_PERMISSION : ERROR_USAGE);
	}
	if (open_own_root(absolute, &agent->cache, err) < 0)
		return -1;

	result = pipeline_run(agent, AGENT_FETCH, &report, err);
	if (result < 0 || publish(agent, absolute, path, sizeof(path), err) < 0) {
		drop_useless_cache(agent, absolute, err->code);
		return -1;
	}
	*ret_report = report_json(agent, path, clock_monotonic() - begin);
	return *ret_report ? 0 : error_set_errno(err, ENOMEM, "reporting the download");
}
