/* SPDX-License-Identifier: Apache-2.0 */
#include "base/owner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "base/file.h"
#include "base/text.h"

/* The group first: without root's rights it could not be left any more. */
static int become(uid_t uid, gid_t gid, struct error *err)
{
	if (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0 ||
	    setresuid(uid, uid, uid) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set_errno(err, errno, "becoming user %u", (unsigned)uid);
	return 0;
}

/* The user may end the child at any time, and so cut the report short. */
static int read_report(int fd, struct error *ret_report)
{
	char *at = (char *)ret_report;
	size_t used = 0;

	while (used < sizeof(*ret_report)) {
		ssize_t n = read(fd, at + used, sizeof(*ret_report) - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		used += (size_t)n;
	}
	ret_report->text[sizeof(ret_report->text) - 1] = '\0';
	ret_report->hint[sizeof(ret_report->hint) - 1] = '\0';
	text_sanitize(ret_report->text);
	text_sanitize(ret_report->hint);
	return 0;
}

static void bury(pid_t child)
{
	while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
		;
}

static int do_in_child(const struct stat *folder,
		       int (*work)(void *context, struct error *err), void *context,
		       struct error *err)
{
	cleanup_fd int from = -1, to = -1;
	struct error report = ERROR_INIT;
	int pair[2], result;
	pid_t child;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return error_set_errno(err, errno, "working as another user");
	from = pair[0];
	to = pair[1];
	child = fork();
	if (child < 0)
		return error_set_errno(err, errno, "working as another user");
	if (child == 0) {
		if (become(folder->st_uid, folder->st_gid, &report) == 0 &&
		    work(context, &report) == 0)
			report = ERROR_INIT;
		_exit(file_write_all(to, &report, sizeof(report), err) < 0);
	}

	(void)close(take_fd(to));
	result = read_report(from, &report);
	bury(child);
	if (result < 0)
		return error_set(err, ERROR_INTERNAL,
				 "working as user %u: the child was ended",
				 (unsigned)folder->st_uid);
	if (report.code == ERROR_NONE)
		return 0;
	*err = report;
	return -1;
}

int owner_do(const struct root *root, const char *folder,
	     int (*work)(void *context, struct error *err), void *context,
	     struct error *err)
{
	struct stat st = { .st_uid = 0 };
	bool there = false;

	if (geteuid() != 0)
		return work(context, err);
	/* Whose folder it is must be known before root writes there. */
	if (root_look(root, folder, &there, &st, err) < 0)
		return -1;
	if (!there || st.st_uid == 0)
		return work(context, err);
	return do_in_child(&st, work, context, err);
}
