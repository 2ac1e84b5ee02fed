/* SPDX-License-Identifier: Apache-2.0 */

/* state.json as it may stand on the disk; what was loaded and saved is loaded again. */

#include <errno.h>

#include "base/file.h"
#include "core/state.h"
#include "fuzz/fuzz.h"
#include "model/paths.h"

/* The one file there is. */
static struct {
	char *text;
	size_t size;
} file;

__typeof__(file_read) __wrap_file_read;
__typeof__(file_write_atomic) __wrap_file_write_atomic;
__typeof__(root_mkdir) __wrap_root_mkdir;

static void keep(const void *data, size_t size)
{
	free(file.text);
	file.text = calloc(1, size + 1);
	fuzz_require(file.text != NULL);
	memcpy(file.text, data, size);
	file.size = size;
}

int __wrap_file_read(const struct root *root, const char *path, size_t limit,
		     char **ret_text, size_t *ret_size, struct error *err)
{
	(void)root;
	fuzz_require(strcmp(path, PATHS_STATE_FILE) == 0);
	if (file.size > limit)
		return error_set(err, ERROR_INTERNAL, "too large");
	*ret_text = calloc(1, file.size + 1);
	fuzz_require(*ret_text != NULL);
	memcpy(*ret_text, file.text, file.size);
	*ret_size = file.size;
	return 0;
}

int __wrap_file_write_atomic(const struct root *root, const char *path, const void *data,
			     size_t size, mode_t mode, struct error *err)
{
	(void)root;
	(void)mode;
	(void)err;
	fuzz_require(strcmp(path, PATHS_STATE_FILE) == 0);
	keep(data, size);
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

	keep(data, size);
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
