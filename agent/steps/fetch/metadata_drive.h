/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The config drive: a small disk labelled config-2 that nova attaches, with the metadata
 * as it was at the first boot.
 */

#include <stddef.h>

#include "base/root.h"
#include "base/run.h"

#define METADATA_DRIVE_FILES 2

struct metadata_drive {
	size_t count; /* files that are there and open, vendor_data2.json first */
	int fds[METADATA_DRIVE_FILES];
	const char *names[METADATA_DRIVE_FILES]; /* static */
	char warning[160]; /* why a drive that is there could not be read, or "" */
};

#define METADATA_DRIVE_INIT ((struct metadata_drive){ .count = 0 })

/*
 * Opens the files. Where the drive is mounted, there; else it is mounted read-only for
 * the moment: the mount is gone from the tree when this returns. No drive is no error.
 */
must_check int metadata_drive_open(struct runner *runner, const struct root *root,
				   struct metadata_drive *ret_drive, struct error *err);
void metadata_drive_done(struct metadata_drive *drive);
