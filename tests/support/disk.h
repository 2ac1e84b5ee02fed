/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Block devices of a sysroot: regular files that fstat(2) tells as devices, and a mount
 * that is a folder. A test that uses it begins with "wrap: fstat64 detached_open".
 */

#include "model/config_drive.h"
#include "support/sysroot.h"

#define DISK_MOUNTED "/mounted" /* what is on every disk */

enum disk_node {
	DISK_NODE, /* as it should be */
	DISK_NODE_ABSENT,
	DISK_NODE_FOLDER, /* what another user could put there, or mount */
	DISK_NODE_LINK,
	DISK_NODE_FILE,
	DISK_NODE_OTHER, /* a block device, of another number */
};

struct disk {
	const char *name;
	const char *label;           /* NULL: there is nothing on it */
	enum config_drive_kind kind; /* 0: iso9660 */
	const char *bus;             /* in /sys/devices; NULL: virtio */
	enum disk_node node;
	const char *udev; /* the name of udev's link; NULL: none */
	unsigned seq;
};

extern int disk_mount_errnum;       /* not 0: mounting fails with it */
extern const char *disk_mounted_as; /* the last mount's file system, or NULL */
extern unsigned disk_mounted_minor;

/* sysroot_setup(), and no disk. */
int disk_setup(void **state);

/* Disks are numbered in the order that they come in. */
void disk_put(const struct sysroot *sysroot, const struct disk *disk);
