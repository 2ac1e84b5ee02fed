/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What families of distributions call an initramfs, which programs look into one and make
 * it anew, and what a listing of one says.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

#define INITRAMFS_WORDS_MAX 8
#define INITRAMFS_ARGV_MAX (INITRAMFS_WORDS_MAX + 2)

/* Programs that belong together; a row of the table in initramfs.c. */
struct initramfs_tool {
	const char *prefix; /* of the images that only these make; "": any */
	const char *list, *make;
	const char *words[INITRAMFS_WORDS_MAX]; /* of the maker; %I image, %K kernel, %B
						   the blacklist */
};

/* Row `index` of those that may serve this image; NULL: no more. */
const struct initramfs_tool *initramfs_tool(size_t index, const char *path);

/* The maker's command line; `path` and `release` must live as long as it does. */
void initramfs_argv(const struct initramfs_tool *tool, const char *program,
		    const char *path, const char *release,
		    const char *ret_argv[static INITRAMFS_ARGV_MAX]);

/* The kernel's release that a file's path names; false: by its name it is no initramfs.
 */
bool initramfs_release(const char *path, char *ret_release, size_t size);

struct initramfs_content {
	char foreign[32]; /* a driver that would take the GPU: "nouveau", or "" */
	char nvidia[256]; /* nvidia.ko, as a path of the system: "/lib/modules/...", or ""
			   */
	bool blacklist;   /* the file that keeps the foreign ones from it is in there */
};

/* False for a listing that lists nothing. */
bool initramfs_read(struct span listing, struct initramfs_content *ret_content);
