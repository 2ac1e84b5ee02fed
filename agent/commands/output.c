/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/output.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

/* The folder is written to, and not only the file: what is new comes in by a rename. */
static int judge_folder(const struct root *caller, const char *path, struct error *err)
{
	char dir[PATH_MAX];
	cleanup_fd int fd = -1;

	(void)text_format(dir, sizeof(dir), "%.*s", (int)(text_base_name(path) - path),
			  path);
	fd = root_open_at(caller, dir, O_PATH | O_DIRECTORY, 0, err);
	if (fd >= 0 && faccessat(fd, ".", W_OK, AT_EACCESS) == 0)
		return 0;
	if (fd >= 0)
		(void)error_set_errno(err, errno, "%s", dir);
	(void)error_recode(err, ERROR_PERMISSION);
	return error_hint(err, "name a file in a folder that is there and that you may "
			       "write");
}

static int judge(const struct root *caller, const char *path, struct stat *ret_st,
		 struct error *err)
{
	struct error missing = ERROR_INIT;
	struct stat st = { .st_mode = 0 };
	cleanup_fd int fd = root_open_at(caller, path, O_PATH, 0, &missing);

	if (fd >= 0 && fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "looking at it");
	if (fd >= 0 && !S_ISREG(st.st_mode)) {
		(void)error_set(err, ERROR_PERMISSION, "is no regular file");
		return error_hint(err, "a folder or a device is there: move it away, or "
				       "name another file");
	}
	*ret_st = st;
	return judge_folder(caller, path, err);
}

int command_output_judge(const struct context *ctx, const char *option, const char *file,
			 char *ret_path, size_t size, struct stat *ret_st,
			 struct error *err)
{
	cleanup_free char *path = root_absolute(file);
	size_t length = strlen(file);

	if (!path || !text_copy(ret_path, size, path))
		return error_set_errno(err, path ? ENAMETOOLONG : errno, "%s %s", option,
				       file);
	if (length == 0 || file[length - 1] == '/') {
		(void)error_set(err, ERROR_USAGE, "%s %s names no file", option, file);
		return error_hint(err, "put the file's own name behind it");
	}
	if (judge(&ctx->caller, path, ret_st, err) < 0)
		return error_prefix(err, "%s %s", option, file);
	return 0;
}
