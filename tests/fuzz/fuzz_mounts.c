/* SPDX-License-Identifier: Apache-2.0 */

/* The kernel's table of mounts, in which any user's FUSE mount stands with a name of its
 * own choice, while the config drive is looked for. */

#include <errno.h>

#include "base/file.h"
#include "base/root.h"
#include "base/run.h"
#include "base/text.h"
#include "fuzz/fuzz.h"
#include "steps/fetch/metadata_drive.h"

static struct span table;

__typeof__(file_read) __wrap_file_read;
__typeof__(root_readlink) __wrap_root_readlink;
__typeof__(root_open_at) __wrap_root_open_at;
__typeof__(root_mkdir) __wrap_root_mkdir;
__typeof__(root_unlink) __wrap_root_unlink;
__typeof__(run_find) __wrap_run_find;
__typeof__(run_checked) __wrap_run_checked;

int __wrap_file_read(const struct root *root, const char *path, size_t limit,
		     char **ret_text, size_t *ret_size, struct error *err)
{
	(void)root;
	(void)path;
	if (table.len > limit)
		return error_set(err, ERROR_INTERNAL, "too large");
	*ret_text = calloc(1, table.len + 1);
	fuzz_require(*ret_text != NULL);
	memcpy(*ret_text, table.at, table.len);
	*ret_size = table.len;
	return 0;
}

int __wrap_root_readlink(const struct root *root, const char *path, char *ret_target,
			 size_t size, struct error *err)
{
	(void)root;
	(void)path;
	(void)err;
	return text_copy(ret_target, size, "../../vdb") ? 0 : -1;
}

/* Nothing is there; but the place that was read is a path. */
int __wrap_root_open_at(const struct root *root, const char *path, int flags, mode_t mode,
			struct error *err)
{
	(void)root;
	(void)flags;
	(void)mode;
	fuzz_require(path[0] == '/');
	return error_set_errno(err, ENOENT, "opening it");
}

int __wrap_root_mkdir(const struct root *root, const char *path, mode_t mode,
		      struct error *err)
{
	(void)root;
	(void)path;
	(void)mode;
	(void)err;
	return 0;
}

int __wrap_root_unlink(const struct root *root, const char *path, struct error *err)
{
	(void)root;
	(void)path;
	(void)err;
	return 0;
}

const char *__wrap_run_find(const struct root *root, const char *name, char *buffer,
			    size_t size)
{
	(void)root;
	return text_format(buffer, size, "/bin/%s", name) ? buffer : NULL;
}

int __wrap_run_checked(struct runner *runner, const struct root *root,
		       const struct run *run, struct error *err)
{
	(void)runner;
	(void)root;
	(void)err;
	fuzz_require(text_starts(run->argv[0], "/bin/"));
	return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(metadata_drive_done) struct metadata_drive drive = METADATA_DRIVE_INIT;
	struct runner runner = { .cancel_fd = -1 };
	const struct root root = ROOT_INIT;
	struct error err = ERROR_INIT;

	table = (struct span){ (const char *)data, size };
	if (metadata_drive_open(&runner, &root, &drive, &err) == 0)
		fuzz_require(drive.count == 0);
	return 0;
}
