/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looks through the block devices of this machine for the config drive. No mount table
 * and no folder is asked, which other users can fill: the kernel's list of devices, their
 * numbers and their first bytes are.
 */

#include <stdbool.h>

#include "base/json.h"
#include "base/root.h"
#include "model/config_drive.h"

struct metadata_device {
	int fd; /* of the device, for reading; -1: there is no config drive */
	char name[32];
	enum config_drive_kind kind;
	char identity[96]; /* unlike that of any other device that was ever in its place
			    */
};

#define METADATA_DEVICE_INIT ((struct metadata_device){ .fd = -1 })

struct metadata_device_choice {
	bool removable;       /* takes a device on USB and the like, too */
	const char *identity; /* takes this one alone; NULL: the first by name */
};

/*
 * Finds the config drive. Each other device with its label, and one that cannot be read,
 * adds a line to `warnings`.
 */
must_check int metadata_device_find(const struct root *root,
				    const struct metadata_device_choice *choice,
				    struct json *warnings,
				    struct metadata_device *ret_device,
				    struct error *err);
void metadata_device_done(struct metadata_device *device);

/* Adds "config drive /dev/NAME: WHY" to the warnings. */
must_check int metadata_device_warn(struct json *warnings, const char *name,
				    const char *why, struct error *err);
