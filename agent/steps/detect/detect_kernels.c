/* SPDX-License-Identifier: Apache-2.0 */

/* The part of steps/detect/detect.h that looks at kernels. */

#include "steps/detect/detect.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/headers.h"
#include "base/text.h"

#define MODULES "/lib/modules"
#define NAMES_MAX 1024
#define CONFIG_MAX (4u << 20)

/* One that is not there, or that this user may not read, says nothing; else -1. */
static int read_config(const struct root *root, const char *path, struct kernel *kernel,
		       struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	size_t size;

	if (file_read(root, path, CONFIG_MAX, &text, &size, &why) == 0) {
		(void)kernel_read_config((struct span){ text, size }, kernel);
		return 0;
	}
	if (why.errnum != EIO && why.errnum != ENOMEM && why.errnum != EMFILE &&
	    why.errnum != ENFILE)
		return 0;
	*err = why;
	return -1;
}

static int read_compiler(const struct root *root, struct kernel *kernel,
			 struct error *err)
{
	char paths[3][256];

	text_path(paths[0], sizeof(paths[0]), "%s/.config", kernel->build);
	text_path(paths[1], sizeof(paths[1]), "%s/include/config/auto.conf",
		  kernel->build);
	text_path(paths[2], sizeof(paths[2]), "/boot/config-%s", kernel->release);
	for (size_t i = kernel->headers ? 0 : 2;
	     i < ARRAY_SIZE(paths) && !kernel->compiler[0]; i++) {
		if (read_config(root, paths[i], kernel, err) < 0)
			return -1;
	}
	return 0;
}

static int read_kernel(const struct root *root, const char *release,
		       struct kernel *ret_kernel, struct error *err)
{
	struct kernel kernel = { .headers = false };
	char path[128];
	bool there;

	(void)text_copy(kernel.release, sizeof(kernel.release), release);
	(void)text_format(path, sizeof(path), MODULES "/%s/build", release);
	if (headers_whole(root, path, &kernel.headers, err) < 0)
		return -1;
	if (kernel.headers) {
		(void)text_copy(kernel.build, sizeof(kernel.build), path);
		(void)text_copy(kernel.source, sizeof(kernel.source), path);
		/* Debian keeps what all flavours share in a folder of its own. */
		(void)text_format(path, sizeof(path), MODULES "/%s/source", release);
		if (headers_look(root, path, "Makefile", &there, err) < 0)
			return -1;
		if (there)
			(void)text_copy(kernel.source, sizeof(kernel.source), path);
	}
	if (read_compiler(root, &kernel, err) < 0)
		return -1;

	*ret_kernel = kernel;
	return 0;
}

/* A removed kernel often leaves its folder behind, with what others put into it. */
static int is_kernel(const struct root *root, const char *release, bool *ret_is,
		     struct error *err)
{
	static const char *const signs[] = { "kernel", "modules.builtin", "modules.order",
					     "build/Makefile" };
	char dir[128];

	*ret_is = false;
	if (!kernel_release_valid(span_of(release)))
		return 0;

	text_path(dir, sizeof(dir), MODULES "/%s", release);
	for (size_t i = 0; i < ARRAY_SIZE(signs) && !*ret_is; i++) {
		if (headers_look(root, dir, signs[i], ret_is, err) < 0)
			return -1;
	}
	return 0;
}

static int compare_releases(const void *a, const void *b)
{
	return strverscmp(*(char *const *)a, *(char *const *)b);
}

static int add_kernel(const struct root *root, const char *release,
		      struct kernel_list *list, struct error *err)
{
	if (list->count == KERNEL_MAX)
		return error_set(err, ERROR_INTERNAL, "more than %d kernels in " MODULES,
				 KERNEL_MAX);

	if (read_kernel(root, release, &list->kernels[list->count], err) < 0)
		return -1;
	list->count++;
	return 0;
}

/* The running kernel is one of the list, also where its folder is not there any more. */
static int mark_running(const struct root *root, struct kernel_list *list,
			struct error *err)
{
	char running[KERNEL_RELEASE_MAX];

	if (detect_release(root, running, sizeof(running), err) < 0)
		return -1;
	if (!kernel_find(list, running) && add_kernel(root, running, list, err) < 0)
		return -1;

	for (size_t i = 0; i < list->count; i++)
		list->kernels[i].running = strcmp(list->kernels[i].release, running) == 0;
	return 0;
}

int detect_kernels(const struct root *root, bool online, struct kernel_list *ret_kernels,
		   struct error *err)
{
	cleanup_free struct kernel_list *list = calloc(1, sizeof(*list));
	cleanup_strv char **names = NULL;
	size_t count = 0;

	if (!list)
		return error_set_errno(err, ENOMEM, "looking for kernels");
	if (root_list(root, MODULES, NAMES_MAX, &names, err) < 0)
		return error_prefix(err, "looking for kernels");

	while (names[count])
		count++;
	qsort(names, count, sizeof(*names), compare_releases);

	for (char **name = names; *name; name++) {
		bool is;

		if (is_kernel(root, *name, &is, err) < 0 ||
		    (is && add_kernel(root, *name, list, err) < 0))
			return error_prefix(err, "looking for kernels");
	}
	if (online && mark_running(root, list, err) < 0)
		return -1;

	*ret_kernels = *list;
	return 0;
}
