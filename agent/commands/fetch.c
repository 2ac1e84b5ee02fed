/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "commands/run.h"
#include "driver/obtain.h"
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

	if (root_open(dir, &outer, err) < 0) {
		(void)error_recode(err,
				   err->code == ERROR_INTERNAL ? ERROR_USAGE : err->code);
		return error_hint(err, "--output DIR names a folder that is there");
	}
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

/* Under which name the file belongs into the caller's folder: of a bundle, its member's.
 */
static void own_name(const struct context *ctx, const struct work *work,
		     const char *member, char *name, size_t size)
{
	if (member[0])
		(void)text_copy(name, size, text_base_name(member));
	else if (work->match.rule == MATCH_URL)
		name_of_url(ctx->settings.driver.url, name, size);
	else
		(void)text_copy(name, size, text_base_name(work->match.package.name));
	if (!name[0] || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		(void)text_copy(name, size, "driver");
}

static struct json *report_json(const struct work *work, const char *path, double seconds)
{
	const struct fetch_result *file = &work->file;
	/* A local bundle was hashed, and its member is what was taken out. */
	bool inside = work->content.kind == PACKAGE_BUNDLE;

	return json_build("{s:i, s:o, s:s, s:s, s:I, s:s, s:s, s:I, s:f}", "schema", 1,
			  "path", json_words(path), "version", work->driver.version,
			  "kind", package_kind_name(work->driver.kind), "size",
			  (int64_t)(inside ? work->content.member.size : file->size),
			  "sha256", work->driver.sha256, "integrity",
			  fetch_integrity_name(file->integrity), "bytes_transferred",
			  (int64_t)file->bytes_transferred, "seconds", seconds);
}

/* From the hidden folder to its own name, in one step; then the folder goes. */
static int move_out(const struct agent *agent, const char *dir, char *ret_path,
		    size_t size, struct error *err)
{
	cleanup(root_close) struct root outer = ROOT_INIT;
	const struct work *work = &agent->work;
	char name[NAME_MAX + 1], from[PATH_MAX], to[NAME_MAX + 2];

	own_name(&agent->context, work, work->content.member.name, name, sizeof(name));
	if (!text_format(from, sizeof(from), "/" CACHE_NAME "%s", work->driver.path) ||
	    !text_format(to, sizeof(to), "/%s", name) ||
	    !text_format(ret_path, size, "%s/%s", dir, name))
		return error_set_errno(err, ENAMETOOLONG, "naming %s", name);

	if (root_open(dir, &outer, err) < 0 || root_rename(&outer, from, to, err) < 0)
		return -1;
	return root_remove_tree(&outer, "/" CACHE_NAME, err);
}

/* Nobody else can change it afterwards. */
static bool is_own_file(int dir, const char *name)
{
	struct stat st;

	return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
	       st.st_uid == geteuid() && !(st.st_mode & (S_IWGRP | S_IWOTH));
}

/* Where a folder lies under the name, the file could not be moved there at the end. */
static int judge_name(const struct agent *agent, const char *beside, struct error *err)
{
	struct stat st;

	if (fstatat(agent->context.cache.fd, beside, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    !S_ISDIR(st.st_mode))
		return 0;
	(void)error_set(err, ERROR_PERMISSION,
			"there is a folder %s where the file is to be",
			text_base_name(beside));
	return error_hint(err, "move it away, or name another folder with --output");
}

/*
 * What lies in the caller's folder under the name and with the checksum that are wanted
 * need not come again: the cache gets a link to it, which fetch_file() hashes before it
 * is believed. Where no checksum is known beforehand the file is fetched.
 */
static int offer_present(const struct agent *agent, struct error *err)
{
	int cache = agent->context.cache.fd; /* a folder in the caller's */
	struct obtain_request request = { .url = "" };
	struct error ignored = ERROR_INIT;
	const struct index_member *entry;
	enum package_kind kind = agent->work.match.package.kind;
	char name[NAME_MAX + 1], beside[NAME_MAX + 4], cached[PACKAGE_NAME_MAX];
	const char *sha256;

	if (obtain_prepare(&agent->context, &agent->repository, &agent->work, &request,
			   &ignored) < 0)
		return 0;
	entry = request.input.entry;
	sha256 = entry ? entry->sha256 : request.package.sha256;
	if (kind == PACKAGE_BUNDLE && !entry)
		return 0;
	own_name(&agent->context, &agent->work, entry ? entry->name : "", name,
		 sizeof(name));
	if (text_format(beside, sizeof(beside), "../%s", name) &&
	    judge_name(agent, beside, err) < 0)
		return -1;
	if (!sha256[0])
		return 0;
	if (text_format(cached, sizeof(cached), PATHS_CACHE "/%s.%s", sha256,
			package_kind_name(entry ? entry->kind : kind)) &&
	    is_own_file(cache, beside) && linkat(cache, beside, cache, cached + 1, 0) < 0)
		log_line(LOG_LEVEL_DEBUG, "%s cannot be linked: it is fetched", name);
	return 0;
}

static int step_match(void *subject, struct outcome *outcome, struct error *err)
{
	if (command_run_match(subject, outcome, err) < 0)
		return -1;
	return offer_present(subject, err);
}

static const struct pipeline_step steps[] = {
	{ "detect", command_run_detect, JOB_FETCH, false },
	{ "metadata", command_run_metadata, JOB_FETCH, true },
	{ "match", step_match, JOB_FETCH, false },
	{ "fetch", command_run_fetch, JOB_FETCH, false },
	{ "unpack", command_run_unpack, JOB_FETCH, false },
};

/* What a later fetch can go on with stays, but not a file that was judged and is bad. */
static void drop_useless_cache(const struct root *cache, const char *dir,
			       enum error_code why)
{
	cleanup(root_close) struct root outer = ROOT_INIT;
	cleanup_strv char **names = NULL;
	struct error ignored = ERROR_INIT;

	if ((why == ERROR_INTEGRITY || why == ERROR_NO_MATCH) &&
	    fetch_prune(cache, NULL, &ignored) < 0)
		log_line(LOG_LEVEL_DEBUG, "%s", ignored.text);
	if (root_list(cache, PATHS_CACHE, 100, &names, &ignored) < 0 || names[0] ||
	    root_open(dir, &outer, &ignored) < 0)
		return;
	if (root_remove_tree(&outer, "/" CACHE_NAME, &ignored) < 0)
		log_line(LOG_LEVEL_DEBUG, "%s", ignored.text);
}

int command_fetch(struct agent *agent, const struct request *request,
		  struct json **ret_report, struct error *err)
{
	const char *dir = request->output ? request->output : ".";
	cleanup_free char *absolute = root_absolute(dir);
	cleanup_json struct json *said = NULL;
	double begin = clock_monotonic();
	char path[PATH_MAX];

	if (!absolute) {
		(void)error_set_errno(err, errno, "--output %s", dir);
		return error_recode(err, err->code == ERROR_INTERNAL ? ERROR_USAGE
								     : err->code);
	}
	if (open_own_root(absolute, &agent->context.cache, err) < 0)
		return -1;

	agent->context.job = JOB_FETCH;
	if (command_run_list(agent, steps, ARRAY_SIZE(steps), agent, &said, err) < 0 ||
	    move_out(agent, absolute, path, sizeof(path), err) < 0) {
		drop_useless_cache(&agent->context.cache, absolute, err->code);
		return -1;
	}
	*ret_report = report_json(&agent->work, path, clock_monotonic() - begin);
	return *ret_report ? 0 : error_set_errno(err, ENOMEM, "reporting the download");
}
