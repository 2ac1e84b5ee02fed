/* SPDX-License-Identifier: Apache-2.0 */

/* state.json as it may stand on the disk; what was loaded and saved is loaded again. */

#include <errno.h>

#include "base/file.h"
#include "core/state.h"
#include "fuzz/fuzz.h"
#include "model/paths.h"

/* state.json, and the copy beside it, which is not there at first. */
static struct file {
	char *text;
	size_t size;
} file, copy;

__typeof__(file_read) __wrap_file_read;
__typeof__(file_write_atomic) __wrap_file_write_atomic;
__typeof__(root_mkdir) __wrap_root_mkdir;

static struct file *file_at(const char *path)
{
	return strcmp(path, PATHS_STATE_FILE) == 0 ? &file : &copy;
}

static void keep(struct file *at, const void *data, size_t size)
{
	free(at->text);
	at->text = calloc(1, size + 1);
	fuzz_require(at->text != NULL);
	memcpy(at->text, data, size);
	at->size = size;
}

int __wrap_file_read(const struct root *root, const char *path, size_t limit,
		     char **ret_text, size_t *ret_size, struct error *err)
{
	const struct file *at = file_at(path);

	(void)root;
	if (!at->text)
		return error_set_errno(err, ENOENT, "%s", path);
	if (at->size > limit)
		return error_set(err, ERROR_INTERNAL, "too large");
	*ret_text = calloc(1, at->size + 1);
	fuzz_require(*ret_text != NULL);
	memcpy(*ret_text, at->text, at->size);
	*ret_size = at->size;
	return 0;
}

int __wrap_file_write_atomic(const struct root *root, const char *path, const void *data,
			     size_t size, mode_t mode, struct error *err)
{
	(void)root;
	(void)mode;
	(void)err;
	keep(file_at(path), data, size);
	return 0;
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

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(state_done) struct state state = { .steps = NULL };
	cleanup(state_done) struct state again = { .steps = NULL };
	const struct root root = ROOT_INIT;
	struct error err = ERROR_INIT;
	cleanup_free char *saved = NULL;

	keep(&file, data, size);
	free(copy.text);
	copy.text = NULL;
	if (state_load(&root, &state, &err) < 0)
		return 0;
	if (state.driver.version[0])
		fuzz_require(version_valid(span_of(state.driver.version)));

	fuzz_require(state_save(&root, &state, &err) == 0);
	saved = strdup(file.text);
	fuzz_require(saved && state_load(&root, &again, &err) == 0 &&
		     state_save(&root, &again, &err) == 0);
	fuzz_require(strcmp(saved, file.text) == 0);
	return 0;
}
