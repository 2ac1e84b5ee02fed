/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/detect/module_file.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <libkmod.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"

#define LIBRARY "libkmod.so.2"
#define SIZE_MAX_BYTES (1 << 30) /* nvidia.ko with its debug information has 0.1 GiB */

/* Each member is called and declared as the function of libkmod.h. */
struct module_file_library {
	void *handle;
	struct kmod_ctx *context;
	__typeof__(kmod_new) *kmod_new;
	__typeof__(kmod_unref) *kmod_unref;
	__typeof__(kmod_set_log_fn) *kmod_set_log_fn;
	__typeof__(kmod_list_next) *kmod_list_next;
	__typeof__(kmod_module_new_from_path) *kmod_module_new_from_path;
	__typeof__(kmod_module_unref) *kmod_module_unref;
	__typeof__(kmod_module_get_info) *kmod_module_get_info;
	__typeof__(kmod_module_info_get_key) *kmod_module_info_get_key;
	__typeof__(kmod_module_info_get_value) *kmod_module_info_get_value;
	__typeof__(kmod_module_info_free_list) *kmod_module_info_free_list;
	__typeof__(kmod_module_get_versions) *kmod_module_get_versions;
	__typeof__(kmod_module_version_get_symbol) *kmod_module_version_get_symbol;
	__typeof__(kmod_module_version_get_crc) *kmod_module_version_get_crc;
	__typeof__(kmod_module_versions_free_list) *kmod_module_versions_free_list;
};

static const struct symbol {
	const char *name;
	size_t offset;
} symbols[] = {
#define SYMBOL(name)                                              \
	{                                                         \
#		name, offsetof(struct module_file_library, name) \
	}
	SYMBOL(kmod_new),
	SYMBOL(kmod_unref),
	SYMBOL(kmod_set_log_fn),
	SYMBOL(kmod_list_next),
	SYMBOL(kmod_module_new_from_path),
	SYMBOL(kmod_module_unref),
	SYMBOL(kmod_module_get_info),
	SYMBOL(kmod_module_info_get_key),
	SYMBOL(kmod_module_info_get_value),
	SYMBOL(kmod_module_info_free_list),
	SYMBOL(kmod_module_get_versions),
	SYMBOL(kmod_module_version_get_symbol),
	SYMBOL(kmod_module_version_get_crc),
	SYMBOL(kmod_module_versions_free_list),
#undef SYMBOL
};

/* What libkmod would write to standard error is said by the error of the caller. */
static void log_nothing(void *data, int priority, const char *file, int line,
			const char *function, const char *format, va_list arguments)
{
	(void)data;
	(void)priority;
	(void)file;
	(void)line;
	(void)function;
	(void)format;
	(void)arguments;
}

static int load_library(struct module_file_library *library, struct error *err)
{
	static const char *const no_configuration[] = { NULL };

	library->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (!library->handle) {
		(void)error_set(err, ERROR_PREREQUISITES, "%.200s", dlerror());
		return error_hint(err, "install the package of " LIBRARY ": libkmod2, or "
				       "kmod-libs");
	}
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *address = dlsym(library->handle, symbols[i].name);

		if (!address)
			return error_set(err, ERROR_PREREQUISITES, LIBRARY " has no %s",
					 symbols[i].name);
		/* C has no conversion from an object's address to a function's. */
		memcpy((char *)library + symbols[i].offset, &address, sizeof(address));
	}
	/* The folder is never looked into: no module is asked for by its name. */
	library->context = library->kmod_new("/", no_configuration);
	if (!library->context)
		return error_set_errno(err, ENOMEM, "starting " LIBRARY);
	library->kmod_set_log_fn(library->context, log_nothing, NULL);
	return 0;
}

int module_file_open(struct module_file_library **ret_library, struct error *err)
{
	struct module_file_library *library = calloc(1, sizeof(*library));

	if (!library)
		return error_set_errno(err, ENOMEM, "opening " LIBRARY);
	if (load_library(library, err) < 0) {
		module_file_close(library);
		return -1;
	}
	*ret_library = library;
	return 0;
}

void module_file_close(struct module_file_library *library)
{
	if (!library)
		return;
	if (library->context)
		(void)library->kmod_unref(library->context);
	if (library->handle)
		(void)dlclose(library->handle);
	free(library);
}

/* One module that is being read. */
struct reading {
	const struct module_file_library *library;
	struct kmod_module *module;
	int fd;
};

static void reading_done(struct reading *reading)
{
	if (reading->module)
		(void)reading->library->kmod_module_unref(reading->module);
	if (reading->fd >= 0)
		(void)close(reading->fd);
}

/*
 * What is compressed under the name of what is not could grow without end: the archive of
 * a repository has only such names.
 */
static int check_file(int fd, const char *path, struct error *err)
{
	char magic[4] = "";
	struct stat st;

	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "reading %s", path);
	if (!S_ISREG(st.st_mode) || st.st_size > SIZE_MAX_BYTES)
		return error_set(err, ERROR_INTEGRITY, "%s is no kernel module", path);
	if (text_ends(path, ".ko") &&
	    (pread(fd, magic, sizeof(magic), 0) != sizeof(magic) ||
	     memcmp(magic, "\177ELF", sizeof(magic)) != 0))
		return error_set(err, ERROR_INTEGRITY, "%s is no kernel module", path);
	return 0;
}

static int open_module(const struct root *root, const char *path, struct reading *reading,
		       struct error *err)
{
	char name[64];
	int r;

	reading->fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK, 0, err);
	if (reading->fd < 0)
		return error_prefix(err, "reading a kernel module");
	if (check_file(reading->fd, path, err) < 0)
		return -1;

	text_path(name, sizeof(name), "/proc/self/fd/%d", reading->fd);
	r = reading->library->kmod_module_new_from_path(reading->library->context, name,
							&reading->module);
	if (r == -ENOENT)
		return error_set(err, ERROR_PREREQUISITES,
				 "reading %s needs /proc, and it is not mounted here",
				 path);
	if (r < 0)
		return error_set_errno(err, -r, "reading %s", path);
	return 0;
}

int module_file_field(const struct module_file_library *library, const struct root *root,
		      const char *path, const char *field, char *ret_value, size_t size,
		      struct error *err)
{
	cleanup(reading_done) struct reading reading = { .library = library, .fd = -1 };
	struct kmod_list *list = NULL;
	int r;

	if (open_module(root, path, &reading, err) < 0)
		return -1;
	r = library->kmod_module_get_info(reading.module, &list);
	if (r < 0) {
		(void)error_set_errno(err, -r, "%s is no kernel module", path);
		return error_recode(err, ERROR_INTEGRITY);
	}

	ret_value[0] = '\0';
	for (struct kmod_list *at = list; at; at = library->kmod_list_next(list, at)) {
		if (strcmp(library->kmod_module_info_get_key(at), field) == 0)
			(void)span_copy(span_trim(span_of(
						library->kmod_module_info_get_value(at))),
					ret_value, size);
	}
	library->kmod_module_info_free_list(list);
	text_sanitize(ret_value);
	return 0;
}

/* Lines as of modprobe --dump-modversions. NULL: no memory. */
static char *print_versions(const struct module_file_library *library,
			    struct kmod_list *list)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	for (struct kmod_list *at = list; at; at = library->kmod_list_next(list, at))
		(void)fprintf(
			out, "0x%08llx\t%s\n",
			(unsigned long long)library->kmod_module_version_get_crc(at),
			library->kmod_module_version_get_symbol(at));
	if (fclose(out) != 0) {
		free(text);
		return NULL;
	}
	return text;
}

int module_file_versions(const struct module_file_library *library,
			 const struct root *root, const char *path, char **ret_text,
			 struct error *err)
{
	cleanup(reading_done) struct reading reading = { .library = library, .fd = -1 };
	struct kmod_list *list = NULL;
	char *text;

	if (open_module(root, path, &reading, err) < 0)
		return -1;
	/* A failure is how libkmod says that there are none. */
	if (library->kmod_module_get_versions(reading.module, &list) < 0)
		list = NULL;
	text = print_versions(library, list);
	library->kmod_module_versions_free_list(list);
	if (!text)
		return error_set_errno(err, ENOMEM, "reading %s", path);
	*ret_text = text;
	return 0;
}
