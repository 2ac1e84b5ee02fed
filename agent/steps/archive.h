/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A support archive: texts are gathered in a private folder, redacted, and packed by
 * tar(1). What cannot be had is a text that says why: an archive never fails over that.
 */

#include "base/root.h"
#include "base/run.h"
#include "base/span.h"

struct archive {
	char path[64];      /* the private folder; "" when there is none */
	struct root folder; /* what is packed */
};

#define ARCHIVE_INIT ((struct archive){ .folder = ROOT_INIT })

/* `archive` is ARCHIVE_INIT, and is to be closed also where this fails. */
must_check int archive_open(struct archive *archive, struct error *err);

/* Removes the folder. */
void archive_close(struct archive *archive);

must_check int archive_add_text(struct archive *archive, const char *name,
				struct span text, struct error *err);

/* The newest part of a file. */
must_check int archive_add_file(struct archive *archive, const char *name,
				const struct root *root, const char *path,
				struct error *err);

struct archive_command {
	const char *name;        /* of its text */
	const char *const *argv; /* argv[0] is its bare name */
	const char *const *only; /* only lines with one of these words; NULL: all lines */
};

/* What a command of the root says. */
must_check int archive_add_command(struct archive *archive,
				   const struct archive_command *command,
				   struct runner *runner, const struct root *root,
				   struct error *err);

/* Packs it into `file` below `host`, which is "/", with mode 0600. */
must_check int archive_pack(struct archive *archive, struct runner *runner,
			    const struct root *host, const char *file, struct error *err);
