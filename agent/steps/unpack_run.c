/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/unpack.h that extracts a .run. */

#include "steps/unpack.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/room.h"
#include "base/text.h"

#define CACHE "/var/cache/vgpu-guest-agent"
#define TREE_NEW CACHE "/.tree"
#define TEMP CACHE "/.tmp"
#define PROBE TEMP "/probe"
#define EXTRACT_S 1800
#define PROBE_S 30

/* A package unpacks to at most this much of its size, and the build needs as much again.
 */
#define ROOM_FACTOR 4

/* By really executing something: mount options alone do not tell. */
static int check_exec(struct runner *runner, const struct root *root, struct error *err)
{
	static const char script[] = "#!/bin/sh\nexit 0\n";
	const char *argv[] = { PROBE, NULL };
	struct run run = { .argv = argv, .timeout_s = PROBE_S };

	if (file_write_atomic(root, PROBE, script, strlen(script), 0700, err) < 0)
		return -1;
	if (run_checked(runner, root, &run, err) == 0)
		return 0;
	if (err->interrupted || err->errnum != EACCES)
		return error_prefix(err, "trying to execute a file in %s", CACHE);
	(void)error_set(err, ERROR_PREREQUISITES,
			"programs cannot be executed in %s: it is mounted noexec", CACHE);
	return error_hint(
		err, "mount a file system without noexec at %s, or remount /var", CACHE);
}

static int explain(const char *path, const struct run_result *result,
		   const struct run *run, struct error *err)
{
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
	if (result->timed_out || result->signal)
		return error_recode(err, ERROR_INTERNAL);
	if (!strstr(result->output, "No space left on device"))
		return -1;
	(void)error_recode(err, ERROR_PREREQUISITES);
	return error_hint(err, "make room on the file system of %s", CACHE);
}

static int extract(const char *path, const struct root *root, struct runner *runner,
		   int log_fd, struct error *err)
{
	/* The stub knows this option only in two words, and some only TMPDIR. */
	const char *argv[] = { "/bin/sh",  path,     "--extract-only",
			       "--target", TREE_NEW, "--tmpdir",
			       TEMP,       NULL };
	static const char *const env[] = { "TMPDIR=" TEMP, "SETUP_NOCHECK=1", NULL };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct run run = {
		.argv = argv,
		.env = env,
		.dir = CACHE,
		.timeout_s = EXTRACT_S,
		.output_limit = 16384,
		.log_fd = log_fd,
	};
	struct stat st;

	if (run_command(runner, root, &run, &result, err) < 0)
		return -1;
	if (result.status != 0 || result.signal || result.timed_out)
		return explain(path, &result, &run, err);
	if (!root_stat(root, TREE_NEW "/nvidia-installer", &st))
		return error_set(err, ERROR_INTEGRITY, "%s holds no nvidia-installer",
				 path);
	return root_rename(root, TREE_NEW, UNPACK_DIR, err);
}

static int discard_attempt(const struct root *root, struct error *err)
{
	if (root_remove_tree(root, TREE_NEW, err) < 0)
		return -1;
	return root_remove_tree(root, TEMP, err);
}

int unpack_run(const char *path, const struct root *root, struct runner *runner,
	       int log_fd, struct error *err)
{
	struct error later = ERROR_INIT;
	struct stat st;
	int result;

	if (!root_stat(root, path, &st))
		return error_set_errno(err, ENOENT, "extracting %s", path);
	if (unpack_discard(root, err) < 0 || discard_attempt(root, err) < 0 ||
	    room_check(root, CACHE, ROOM_FACTOR * (uint64_t)st.st_size, err) < 0 ||
	    root_mkdir(root, TEMP, 0700, err) < 0)
		return -1;

	result = check_exec(runner, root, err);
	if (result == 0)
		result = extract(path, root, runner, log_fd, err);
	if (discard_attempt(root, &later) < 0 && result == 0) {
		*err = later;
		return -1;
	}
	return result;
}
