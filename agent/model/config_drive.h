/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which block device is the config drive that nova attaches: by its own first bytes and
 * by how it is connected, as text and values.
 */

#include <stdbool.h>

#include "base/span.h"

/* How much of a device must be read to know its label: up to iso9660's descriptor. */
#define CONFIG_DRIVE_HEAD (0x8000 + 2048)

enum config_drive_kind {
	CONFIG_DRIVE_NONE, /* no file system that is known here */
	CONFIG_DRIVE_ISO9660,
	CONFIG_DRIVE_VFAT,
	CONFIG_DRIVE_EXT, /* nova makes none: known only to be told of */
};

struct config_drive_label {
	enum config_drive_kind kind;
	char text[33]; /* without the blanks behind it */
};

/* What begins with `head`. A shorter device has what fits. */
struct config_drive_label config_drive_read_label(struct span head);

/* "config-2" in any case: mkfs.vfat of some releases makes capitals of it. */
bool config_drive_is_label(const char *text);

/* "iso9660", "vfat"; NULL for what is never mounted. */
const char *config_drive_file_system(enum config_drive_kind kind);

enum config_drive_bus {
	CONFIG_DRIVE_FIXED,
	CONFIG_DRIVE_REMOVABLE, /* whoever stands before the machine can plug it in */
	CONFIG_DRIVE_VIRTUAL,   /* loop, device mapper, ...: made by software in here */
};

/* Of the target of /sys/class/block/NAME. */
enum config_drive_bus config_drive_read_bus(const char *link);
