/* SPDX-License-Identifier: Apache-2.0 */
#include "base/headers.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/macro.h"
#include "base/span.h"
#include "base/text.h"

#define ENTRIES_MAX 256
#define MAKEFILE_MAX (1u << 20)

/* Nothing is behind the name, whatever the way to it looks like. */
static bool is_nothing(const struct error *why)
{
	return why->errnum == ENOENT || why->errnum == ENOTDIR || why->errnum == ELOOP ||
	       why->errnum == ENAMETOOLONG;
}

int headers_look(const struct root *root, const char *dir, const char *file,
		 bool *ret_there, struct error *err)
{
	struct error why = ERROR_INIT;
	char path[512];

	*ret_there = false;
	if (!text_format(path, sizeof(path), "%s/%s", dir, file))
		return 0;
	cleanup_fd int fd = root_open_at(root, path, O_PATH, 0, &why);
	*ret_there = fd >= 0;
	if (fd >= 0 || is_nothing(&why))
		return 0;
	*err = why;
	return -1;
}

/* Ubuntu's packages join the kernel's own folder and the common one entry by entry. */
static int has_no_loose_end(const struct root *root, const char *build, bool *ret_whole,
			    struct error *err)
{
	static const char *const below[] = { "", "/include", "/arch" };

	for (size_t i = 0; i < ARRAY_SIZE(below) && *ret_whole; i++) {
		struct error why = ERROR_INIT;
		cleanup_strv char **names = NULL;
		char dir[256];

		if (!text_format(dir, sizeof(dir), "%s%s", build, below[i]))
			continue;
		if (root_list(root, dir, ENTRIES_MAX, &names, &why) < 0) {
			if (is_nothing(&why) || why.errnum == 0)
				continue;
			*err = why;
			return -1;
		}
		for (char **name = names; *name && *ret_whole; name++) {
			if (headers_look(root, dir, *name, ret_whole, err) < 0)
				return -1;
		}
	}
	return 0;
}

/* Only a whole path from "/" on: what has a variable, or is relative, make finds or not.
 */
static int look_at_include(const struct root *root, struct span path, bool *ret_there,
			   struct error *err)
{
	char name[400];

	path = span_trim(path);
	*ret_there = true;
	if (!span_skip(&path, "/") || !span_copy(path, name, sizeof(name)) ||
	    strpbrk(name, "$ \t"))
		return 0;
	return headers_look(root, "", name, ret_there, err);
}

static int has_what_it_includes(const struct root *root, const char *build,
				bool *ret_whole, struct error *err)
{
	struct error why = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, line;
	char path[512];
	size_t size;

	text_path(path, sizeof(path), "%s/Makefile", build);
	if (file_read(root, path, MAKEFILE_MAX, &text, &size, &why) < 0) {
		*ret_whole = false;
		if (is_nothing(&why) || why.errnum == 0 || why.errnum == EISDIR)
			return 0;
		*err = why;
		return -1;
	}
	rest = (struct span){ .at = text, .len = size };
	while (*ret_whole && span_next_line(&rest, &line)) {
		if (span_skip(&line, "include ") &&
		    look_at_include(root, line, ret_whole, err) < 0)
			return -1;
	}
	return 0;
}

int headers_whole(const struct root *root, const char *build, bool *ret_whole,
		  struct error *err)
{
	bool makefile, auto_conf, config = false;

	*ret_whole = false;
	if (headers_look(root, build, "Makefile", &makefile, err) < 0 ||
	    headers_look(root, build, "include/config/auto.conf", &auto_conf, err) < 0 ||
	    (!auto_conf && headers_look(root, build, ".config", &config, err) < 0))
		return -1;
	if (!makefile || (!auto_conf && !config))
		return 0;
	*ret_whole = true;
	return has_no_loose_end(root, build, ret_whole, err) < 0 ||
			       has_what_it_includes(root, build, ret_whole, err) < 0
		       ? -1
		       : 0;
}
