/* SPDX-License-Identifier: Apache-2.0 */
#include "base/headers.h"

#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/macro.h"
#include "base/span.h"
#include "base/text.h"

#define ENTRIES_MAX 256
#define MAKEFILE_MAX (1u << 20)

bool headers_real(const struct root *root, const char *dir, const char *file)
{
	struct error ignored = ERROR_INIT;
	char path[512];

	if (!text_format(path, sizeof(path), "%s/%s", dir, file))
		return false;
	cleanup_fd int fd = root_open_at(root, path, O_PATH, 0, &ignored);
	return fd >= 0;
}

/* Ubuntu's packages join the kernel's own folder and the common one entry by entry. */
static bool has_loose_end(const struct root *root, const char *build)
{
	static const char *const below[] = { "", "/include", "/arch" };

	for (size_t i = 0; i < ARRAY_SIZE(below); i++) {
		struct error ignored = ERROR_INIT;
		cleanup_strv char **names = NULL;
		char dir[256];

		if (!text_format(dir, sizeof(dir), "%s%s", build, below[i]) ||
		    root_list(root, dir, ENTRIES_MAX, &names, &ignored) < 0)
			continue;
		for (char **name = names; *name; name++) {
			if (!headers_real(root, dir, *name))
				return true;
		}
	}
	return false;
}

/* Only a whole path from "/" on: what has a variable, or is relative, make finds or not.
 */
static bool is_there(const struct root *root, struct span path)
{
	char name[400];

	path = span_trim(path);
	if (!span_skip(&path, "/") || !span_copy(path, name, sizeof(name)) ||
	    strpbrk(name, "$ \t"))
		return true;
	return headers_real(root, "", name);
}

static bool includes_what_is_gone(const struct root *root, const char *build)
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, line;
	char path[512];
	size_t size;

	if (!text_format(path, sizeof(path), "%s/Makefile", build) ||
	    file_read(root, path, MAKEFILE_MAX, &text, &size, &ignored) < 0)
		return true;
	rest = (struct span){ .at = text, .len = size };
	while (span_next_line(&rest, &line)) {
		if (span_skip(&line, "include ") && !is_there(root, line))
			return true;
	}
	return false;
}

bool headers_whole(const struct root *root, const char *build)
{
	return headers_real(root, build, "Makefile") &&
	       (headers_real(root, build, "include/config/auto.conf") ||
		headers_real(root, build, ".config")) &&
	       !has_loose_end(root, build) && !includes_what_is_gone(root, build);
}
