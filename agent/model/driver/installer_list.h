/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The two lists of nvidia-installer: .manifest, which says what a package brings, and the
 * record of what it has installed. The formats are those of its manifest.c and backup.c,
 * the same from 71.86 to 590.48.
 */

#include "base/span.h"

#define INSTALLER_PATH_MAX 512

struct installer_file {
	struct span name; /* without its folder */
	struct span type; /* "UTILITY_BINARY" */
	struct span path; /* "": none is named */
};

/*
 * Cuts the head off a manifest: `ret_version` is the driver's, and what is left holds the
 * files. False where it is none.
 */
bool installer_list_open_manifest(struct span *manifest, struct span *ret_version);
bool installer_list_next_file(struct span *files, struct installer_file *ret_file);

/* Whether a file's name has the driver's version in it, so that it can be no other's. */
bool installer_list_is_versioned(struct span name, struct span version);

/*
 * Where the file goes; false where that depends on the system: libraries, data of
 * desktops.
 */
bool installer_list_place(const struct installer_file *file, struct span version,
			  char ret_path[INSTALLER_PATH_MAX]);

enum installer_entry_kind {
	INSTALLER_ENTRY_LINK, /* installed */
	INSTALLER_ENTRY_FILE, /* installed */
	INSTALLER_ENTRY_KEPT, /* others' file or link, which comes back */
};

struct installer_entry {
	enum installer_entry_kind kind;
	struct span path;
};

/* The same of a record. */
bool installer_list_open_record(struct span *record, struct span *ret_version);
bool installer_list_next_entry(struct span *entries, struct installer_entry *ret_entry);
