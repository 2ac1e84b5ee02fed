/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/announce.h"

#include <errno.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"

#define SYSTEMCTL_S 30
#define STATUS_MAX (1u << 20)

bool announce_is_licensed(const struct root *root)
{
	struct stat st;

	return root_stat(root, PATHS_LICENSED, &st);
}

/* Waits for nothing: whoever hangs on the target is none of our business. */
static int move_target(struct runner *runner, const struct root *root, const char *verb,
		       struct error *err)
{
	char program[128];
	const char *argv[] = { program, "--no-block", verb, ANNOUNCE_TARGET, NULL };
	struct run run = { .argv = argv, .timeout_s = SYSTEMCTL_S };
	struct stat st;

	/* A container without systemd has no targets. */
	if (!root_stat(root, "/run/systemd/system", &st) ||
	    !run_find(root, "systemctl", program, sizeof(program)))
		return 0;
	return run_checked(runner, root, &run, err);
}

/* The file goes first: who reads it must not be told of a license that is gone. */
static int withdraw(struct runner *runner, const struct root *root, struct error *err)
{
	bool was = announce_is_licensed(root);

	if (root_unlink(root, PATHS_LICENSED, err) < 0)
		return -1;
	return was ? move_target(runner, root, "stop", err) : 0;
}

int announce_license(struct runner *runner, const struct root *root,
		     const struct json *status, bool licensed, bool reached,
		     struct error *err)
{
	cleanup_free char *text = json_print(status);
	bool changed;

	if (!text)
		return error_set_errno(err, ENOMEM, "writing %s", PATHS_STATUS);
	if (!licensed && withdraw(runner, root, err) < 0)
		return -1;
	if (root_mkdir(root, PATHS_RUN, 0755, err) < 0 ||
	    file_write_atomic(root, PATHS_STATUS, text, strlen(text), 0644, err) < 0)
		return -1;
	if (!licensed)
		return 0;
	if (file_update(root, PATHS_LICENSED, span_of(""), 0644, &changed, err) < 0)
		return -1;
	return reached ? 0 : move_target(runner, root, "start", err);
}

int announce_nothing(struct runner *runner, const struct root *root, struct error *err)
{
	if (withdraw(runner, root, err) < 0)
		return -1;
	if (root_unlink(root, PATHS_LAST_RUN, err) < 0)
		return -1;
	return root_unlink(root, PATHS_STATUS, err);
}

/* The status without its time. The caller frees it; NULL when memory is out. */
static char *print_timeless(struct json *status)
{
	json_free(json_take(status, "timestamp"));
	return json_print(status);
}

/* Whether the file says the same already. One that cannot be read does not. */
static bool says_the_same(const struct root *root, const char *text)
{
	cleanup_free char *old_text = NULL, *old = NULL, *new = NULL;
	cleanup_json struct json *old_status = NULL, *new_status = NULL;
	struct error ignored = ERROR_INIT;
	size_t size;

	if (file_read(root, PATHS_STATUS, STATUS_MAX, &old_text, &size, &ignored) < 0 ||
	    json_parse(old_text, size, &old_status, &ignored) < 0 ||
	    json_parse(text, strlen(text), &new_status, &ignored) < 0)
		return false;
	old = print_timeless(old_status);
	new = print_timeless(new_status);
	return old && new &&strcmp(old, new) == 0;
}

int announce_files(const struct root *root, const struct json *status, bool licensed,
		   bool *ret_changed, struct error *err)
{
	cleanup_free char *text = json_print(status);
	bool changed;

	if (!text)
		return error_set_errno(err, ENOMEM, "writing %s", PATHS_STATUS);
	if (!licensed && root_unlink(root, PATHS_LICENSED, err) < 0)
		return -1;
	*ret_changed = !says_the_same(root, text);
	if (*ret_changed &&
	    (root_mkdir(root, PATHS_RUN, 0755, err) < 0 ||
	     file_write_atomic(root, PATHS_STATUS, text, strlen(text), 0644, err) < 0))
		return -1;
	return licensed ? file_update(root, PATHS_LICENSED, span_of(""), 0644, &changed,
				      err)
			: 0;
}

void announce_change(const struct root *root, bool begins)
{
	struct error ignored = ERROR_INIT;

	if (!begins || root_mkdir(root, PATHS_RUN, 0755, &ignored) < 0 ||
	    file_write_atomic(root, PATHS_CHANGING, "", 0, 0644, &ignored) < 0)
		root_discard(root, PATHS_CHANGING);
}
