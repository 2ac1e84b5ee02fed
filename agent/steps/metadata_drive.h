/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The config drive: a small disk labelled config-2 that nova attaches, with the metadata
 * as it was at the first boot.
 */

#include <stddef.h>

#include "base/json.h"
#include "base/root.h"

#define METADATA_DRIVE_FILES 2

struct metadata_drive {
	size_t count; /* files that are there and open, vendor_data2.json first */
	int fds[METADATA_DRIVE_FILES];
	const char *names[METADATA_DRIVE_FILES]; /* static */
};

#define METADATA_DRIVE_INIT ((struct metadata_drive){ .count = 0 })

/*
 * Opens the files, on a mount that only this process has. The drive that is there when
 * this is first called after a boot is the one that counts until the next boot: one that
 * comes later is passed over. No drive is no error, and one that cannot be read is a line
 * in `warnings`: the service may know better.
 */
must_check int metadata_drive_open(const struct root *root, bool removable,
				   struct json *warnings,
				   struct metadata_drive *ret_drive, struct error *err);
void metadata_drive_done(struct metadata_drive *drive);
