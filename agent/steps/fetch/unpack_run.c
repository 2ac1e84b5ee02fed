/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/fetch/unpack.h that extracts a .run. */

#include "steps/fetch/unpack.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/text.h"
#include "model/paths.h"

#define EXTRACT_S 1800
#define PROBE_S 30

/* A package unpacks to at most this much of its size, and the build needs as much again.
 */
#define ROOM_FACTOR 4

/* The folders that one unpacking uses; all lie in the folder `cache`. */
struct places {
	const char *cache;
	char tree[160]; /* the result */
	char fresh[160];
	char temp[160];
};

/* By really executing something: mount options alone do not tell. */
static int check_exec(struct runner *runner, const struct root *root,
		      const struct places *places, struct error *err)
{
	static const char script[] = "#!/bin/sh\nexit 0\n";
	char probe[sizeof(places->temp) + 8];
	const char *argv[] = { probe, NULL };
	struct run run = { .argv = argv, .timeout_s = PROBE_S };

	text_path(probe, sizeof(probe), "%s/probe", places->temp);
	if (file_write_atomic(root, probe, script, strlen(script), 0700, err) < 0)
		return -1;
	if (run_checked(runner, root, &run, err) == 0)
		return 0;
	if (err->interrupted || err->errnum != EACCES)
		return error_prefix(err, "trying to execute a file in %s", places->cache);
	(void)error_set(err, ERROR_PREREQUISITES,
			"programs cannot be executed in %s: it is mounted noexec",
			places->cache);
	return error_hint(err,
			  "mount a file system without noexec at %s, or remount what it "
			  "is on",
			  places->cache);
}

/*
 * The last line of the script's output as the reason. A full disk is told apart: the
 * package is not damaged then.
 */
static int explain(const struct root *root, const char *path,
		   const struct run_result *result, const struct run *run,
		   struct error *err)
{
	const char *const folders[] = { run->dir, NULL };
	struct span output = { .at = result->output, .len = result->size };
	struct span line, last = { "", 0 };
	char how[64], words[300];

	while (span_next_line(&output, &line)) {
		if (span_trim(line).len > 0)
			last = span_trim(line);
	}
	(void)span_copy(last, words, sizeof(words));
	text_sanitize(words);
	(void)run_describe(result, run, how, sizeof(how));
	(void)error_set(err, ERROR_INTEGRITY, "extracting %s: %s%s%s", path, how,
			words[0] ? ": " : "", words);
	if (result->timed_out || result->signal || result->status > 128)
		(void)error_recode(err, ERROR_INTERNAL);
	else if (result->status > RUN_STATUS_MAX)
		(void)error_recode(err, ERROR_PREREQUISITES); /* of the script's tools */
	return room_explain(root, folders, err);
}

/* Unpacks into a new folder beside the old tree and renames it last. */
static int extract(const char *path, const struct root *root, struct runner *runner,
		   const struct places *places, int log_fd, struct error *err)
{
	/* The stub knows this option only in two words, and some only TMPDIR. */
	const char *argv[] = { "/bin/sh",     path,       "--extract-only", "--target",
			       places->fresh, "--tmpdir", places->temp,     NULL };
	char tmpdir[sizeof(places->temp) + 8];
	const char *const env[] = { tmpdir, "SETUP_NOCHECK=1", NULL };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = {
		.argv = argv,
		.env = env,
		.dir = places->cache,
		.timeout_s = EXTRACT_S,
		.output_limit = 16384,
		.log_fd = log_fd,
	};
	char installer[sizeof(places->fresh) + 24];
	bool there;

	(void)text_format(tmpdir, sizeof(tmpdir), "TMPDIR=%s", places->temp);
	text_path(installer, sizeof(installer), "%s/nvidia-installer", places->fresh);
	if (run_command(runner, root, &run, &result, err) < 0)
		return -1;
	if (result.status != 0 || result.signal || result.timed_out)
		return explain(root, path, &result, &run, err);
	if (root_exists(root, installer, &there, err) < 0)
		return -1;
	if (!there)
		return error_set(err, ERROR_INTEGRITY, "%s holds no nvidia-installer",
				 path);
	return root_rename(root, places->fresh, places->tree, err);
}

static int discard_attempt(const struct root *root, const struct places *places,
			   struct error *err)
{
	if (root_remove_tree(root, places->fresh, err) < 0)
		return -1;
	return root_remove_tree(root, places->temp, err);
}

int unpack_run_in(const char *cache, const char *path, const struct root *root,
		  struct runner *runner, int log_fd, struct error *err)
{
	struct places places = { .cache = cache };
	struct error later = ERROR_INIT;
	struct stat st;
	bool there;
	int result;

	if (!text_format(places.tree, sizeof(places.tree), "%s/tree", cache) ||
	    !text_format(places.fresh, sizeof(places.fresh), "%s/.tree", cache) ||
	    !text_format(places.temp, sizeof(places.temp), "%s/.tmp", cache))
		return error_set_errno(err, ENAMETOOLONG, "extracting %s", path);
	if (root_look(root, path, &there, &st, err) < 0)
		return -1;
	if (!there)
		return error_set_errno(err, ENOENT, "extracting %s", path);
	if (root_remove_tree(root, places.tree, err) < 0 ||
	    discard_attempt(root, &places, err) < 0 ||
	    room_check(root, cache, ROOM_FACTOR * (uint64_t)st.st_size, err) < 0 ||
	    root_mkdir(root, places.temp, 0700, err) < 0)
		return -1;

	result = check_exec(runner, root, &places, err);
	if (result == 0)
		result = extract(path, root, runner, &places, log_fd, err);
	if (discard_attempt(root, &places, &later) < 0 && result == 0) {
		*err = later;
		return -1;
	}
	return result;
}

int unpack_run(const char *path, const struct root *root, struct runner *runner,
	       int log_fd, struct error *err)
{
	return unpack_run_in(PATHS_CACHE, path, root, runner, log_fd, err);
}
