/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/license/announce.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/owner.h"
#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"

#define SYSTEMCTL_S 30
#define STATUS_MAX (1u << 20)
#define MARK_MAX 64
#define STAT_STATE 3 /* proc(5): the number of a field of /proc/PID/stat */
#define STAT_START 22

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

	if (!run_find_systemctl(root, program, sizeof(program)))
		return 0;
	return run_checked(runner, root, &run, err);
}

/* What is written below PATHS_RUN, which belongs to the monitor's user. */
struct writing {
	const struct root *root;
	const char *status; /* NULL: none is left */
	bool licensed;
};

static int remove_files(void *context, struct error *err)
{
	const struct writing *writing = context;

	if (root_unlink(writing->root, PATHS_LICENSED, err) < 0)
		return -1;
	return writing->status ? 0 : root_unlink(writing->root, PATHS_STATUS, err);
}

static int write_files(void *context, struct error *err)
{
	const struct writing *writing = context;
	bool changed;

	if (root_mkdir(writing->root, PATHS_RUN, 0755, err) < 0 ||
	    file_write_atomic(writing->root, PATHS_STATUS, writing->status,
			      strlen(writing->status), 0644, err) < 0)
		return -1;
	return writing->licensed ? file_update(writing->root, PATHS_LICENSED, span_of(""),
					       0644, &changed, err)
				 : 0;
}

/* The file goes first: who reads it must not be told of a license that is gone. */
static int withdraw(struct runner *runner, struct writing *writing, struct error *err)
{
	bool was = announce_is_licensed(writing->root);

	if (owner_do(writing->root, PATHS_RUN, remove_files, writing, err) < 0)
		return -1;
	return was ? move_target(runner, writing->root, "stop", err) : 0;
}

int announce_license(struct runner *runner, const struct root *root,
		     const struct json *status, bool licensed, bool reached,
		     struct error *err)
{
	cleanup_free char *text = json_print(status);
	struct writing writing = { root, text, licensed };

	if (!text)
		return error_set_errno(err, ENOMEM, "writing %s", PATHS_STATUS);
	if ((!licensed && withdraw(runner, &writing, err) < 0) ||
	    owner_do(root, PATHS_RUN, write_files, &writing, err) < 0)
		return -1;
	return licensed && !reached ? move_target(runner, root, "start", err) : 0;
}

int announce_nothing(struct runner *runner, const struct root *root, struct error *err)
{
	struct writing writing = { root, NULL, false };

	if (withdraw(runner, &writing, err) < 0)
		return -1;
	return root_unlink(root, PATHS_LAST_RUN, err);
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

/*
 * When a process of this machine began, in the kernel's ticks since boot; false where
 * there is none.
 */
static bool began_at(uint64_t pid, uint64_t *ret_ticks)
{
	struct span rest, word;
	char path[64], text[1024];
	cleanup_fd int fd = -1;
	const char *end;
	ssize_t n;

	text_path(path, sizeof(path), "/proc/%llu/stat", (unsigned long long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (n < 0)
		return false;
	text[n] = '\0';
	/* The program's name may hold blanks and brackets; 20 words after it. */
	end = strrchr(text, ')');
	if (!end || !end[1])
		return false;
	rest = span_of(end + 2);
	for (int i = 0; i < STAT_START - STAT_STATE; i++)
		(void)span_split(rest, ' ', &word, &rest);
	(void)span_split(rest, ' ', &word, &rest);
	return span_to_u64(word, ret_ticks);
}

void announce_change(const struct root *root, bool begins)
{
	uint64_t pid = (uint64_t)getpid(), ticks = 0;
	struct error ignored = ERROR_INIT;
	char text[64];

	if (begins && began_at(pid, &ticks) &&
	    text_format(text, sizeof(text), "%llu %llu\n", (unsigned long long)pid,
			(unsigned long long)ticks) &&
	    root_mkdir(root, PATHS_RUN, 0755, &ignored) == 0 &&
	    file_write_atomic(root, PATHS_CHANGING, text, strlen(text), 0644, &ignored) ==
		    0)
		return;
	root_discard(root, PATHS_CHANGING);
}

bool announce_is_changing(const struct root *root)
{
	struct error ignored = ERROR_INIT;
	uint64_t pid, ticks, now;
	cleanup_free char *text = NULL;
	struct span maker, began;
	size_t size;

	if (file_read(root, PATHS_CHANGING, MARK_MAX, &text, &size, &ignored) < 0)
		return false;
	return span_split(span_trim((struct span){ text, size }), ' ', &maker, &began) &&
	       span_to_u64(maker, &pid) && span_to_u64(began, &ticks) &&
	       began_at(pid, &now) && now == ticks;
}
