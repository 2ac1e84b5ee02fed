/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * PULP_MANIFEST (`relative_path,sha256,size` by line, split from the right: pulp_file's
 * manifest.py) and the index page of a plain web server. Read by pieces, as they arrive.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "model/driver/package.h"

#define MANIFEST_LINE_MAX 4096
#define MANIFEST_ENTRIES_MAX 100000

struct manifest_entry {
	char name[PACKAGE_NAME_MAX];
	uint64_t size;                    /* 0 from an index page */
	char sha256[PACKAGE_SHA256_SIZE]; /* "" from an index page */
};

/*
 * A good line has an entry and no `why`. A bad one has no entry: it is skipped, and named
 * by `line`, 1-based, and `why` ("has an unsafe path"). Blank lines and comments are
 * neither.
 */
typedef void manifest_each(void *context, const struct manifest_entry *entry, size_t line,
			   const char *why);

struct manifest_reader {
	manifest_each *each;
	void *context;
	size_t line;
	size_t entries; /* good or bad */
	size_t used;
	bool overlong; /* the rest of this line is dropped */
	bool refused;  /* more than MANIFEST_ENTRIES_MAX */
	char buffer[MANIFEST_LINE_MAX];
};

void manifest_begin(struct manifest_reader *reader, manifest_each *each, void *context);
/* False once there are too many entries: stop reading. */
bool manifest_feed(struct manifest_reader *reader, const char *data, size_t size);
bool manifest_end(struct manifest_reader *reader);

/*
 * The href targets of an HTML listing (nginx, Apache, Pulp): relative, without query, no
 * folders, percent-decoded once. Sizes of such pages are rounded and never read.
 */
void manifest_listing(const char *html, size_t size, manifest_each *each, void *context);

/* Relative, no empty, "." or ".." component, no control byte or backslash. */
bool manifest_path_is_safe(struct span path);
