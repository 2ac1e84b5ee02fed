/* SPDX-License-Identifier: Apache-2.0 */
#include "support/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/detached.h"
#include "base/file.h"
#include "base/text.h"
#include "support/cmocka.h"

#define MAJOR 253
#define DISKS_MAX 16

int disk_mount_errnum;
const char *disk_mounted_as;
unsigned disk_mounted_minor;

static struct {
	ino_t inode;
	unsigned minor;
} nodes[DISKS_MAX];
static unsigned disk_count;
static const struct sysroot *here;

int __real_fstat64(int fd, struct stat *st);
int __wrap_fstat64(int fd, struct stat *st);
int __wrap_detached_open(int device, const char *file_system, int *ret_folder,
			 struct error *err);

int __wrap_fstat64(int fd, struct stat *st)
{
	int result = __real_fstat64(fd, st);

	for (unsigned i = 0; result == 0 && i < disk_count; i++) {
		if (!S_ISREG(st->st_mode) || st->st_ino != nodes[i].inode)
			continue;
		st->st_mode = S_IFBLK | 0600;
		st->st_rdev = makedev(MAJOR, nodes[i].minor);
	}
	return result;
}

int __wrap_detached_open(int device, const char *file_system, int *ret_folder,
			 struct error *err)
{
	struct stat st;

	assert_int_equal(__wrap_fstat64(device, &st), 0);
	assert_true(S_ISBLK(st.st_mode));
	disk_mounted_as = file_system;
	disk_mounted_minor = minor(st.st_rdev);
	if (disk_mount_errnum)
		return error_set_errno(err, disk_mount_errnum, "mounting it as %s",
				       file_system);
	*ret_folder =
		root_open_at(&here->root, DISK_MOUNTED, O_PATH | O_DIRECTORY, 0, err);
	return *ret_folder < 0 ? -1 : 0;
}

int disk_setup(void **state)
{
	disk_count = 0;
	disk_mount_errnum = 0;
	disk_mounted_as = NULL;
	if (sysroot_setup(state) != 0)
		return -1;
	sysroot_mkdir(*state, "/run");
	return 0;
}

static void put_link(const struct sysroot *sysroot, const char *target, const char *path)
{
	char full[PATH_MAX];

	assert_true(text_format(full, sizeof(full), "%s%s", sysroot->dir, path));
	assert_int_equal(symlink(target, full), 0);
}

static void put_bytes(char *head, const struct disk *disk)
{
	size_t len = disk->label ? strlen(disk->label) : 0;

	if (!disk->label)
		return;
	switch (disk->kind) {
	case CONFIG_DRIVE_VFAT:
		memcpy(head + 54, "FAT16   ", 8);
		memset(head + 43, ' ', 11);
		memcpy(head + 43, disk->label, len);
		memcpy(head + 510, "\x55\xaa", 2);
		break;
	case CONFIG_DRIVE_EXT:
		memcpy(head + 0x438, "\x53\xef", 2);
		memcpy(head + 0x478, disk->label, len);
		break;
	case CONFIG_DRIVE_NONE:
	case CONFIG_DRIVE_ISO9660:
	default:
		memcpy(head + 0x8000, "\1CD001", 6);
		memset(head + 0x8000 + 40, ' ', 32);
		memcpy(head + 0x8000 + 40, disk->label, len);
		break;
	}
}

static void put_node(const struct sysroot *sysroot, const struct disk *disk,
		     const char *path)
{
	static char head[CONFIG_DRIVE_HEAD];
	struct error err = ERROR_INIT;
	struct stat st;

	if (disk->node == DISK_NODE_ABSENT)
		return;
	if (disk->node == DISK_NODE_FOLDER) {
		sysroot_mkdir(sysroot, path);
		return;
	}
	if (disk->node == DISK_NODE_LINK) {
		put_link(sysroot, "/etc/passwd", path);
		return;
	}
	memset(head, 0, sizeof(head));
	put_bytes(head, disk);
	assert_int_equal(
		file_write_atomic(&sysroot->root, path, head, sizeof(head), 0600, &err),
		0);
	assert_true(root_stat(&sysroot->root, path, &st));
	nodes[disk_count].inode = disk->node == DISK_NODE_FILE ? 0 : st.st_ino;
	nodes[disk_count].minor = disk_count + (disk->node == DISK_NODE_OTHER);
}

void disk_put(const struct sysroot *sysroot, const struct disk *disk)
{
	char path[PATH_MAX], text[PATH_MAX];
	struct error err = ERROR_INIT;
	const char *bus = disk->bus ? disk->bus : "pci0000:00/0000:00:04.0/virtio1";

	here = sysroot;
	assert_true(disk_count < DISKS_MAX);
	assert_true(text_format(path, sizeof(path), "/sys/devices/%s/block/%s", bus,
				disk->name));
	assert_int_equal(root_mkdir(&sysroot->root, path, 0755, &err), 0);
	assert_int_equal(root_mkdir(&sysroot->root, "/sys/class/block", 0755, &err), 0);
	assert_int_equal(root_mkdir(&sysroot->root, "/dev/disk/by-label", 0755, &err), 0);
	assert_true(text_format(path, sizeof(path), "/sys/devices/%s/block/%s/dev", bus,
				disk->name));
	assert_true(text_format(text, sizeof(text), "%d:%u\n", MAJOR, disk_count));
	sysroot_write(sysroot, path, text);
	assert_true(text_format(path, sizeof(path), "/sys/devices/%s/block/%s/diskseq",
				bus, disk->name));
	assert_true(text_format(text, sizeof(text), "%u\n", disk->seq));
	sysroot_write(sysroot, path, text);
	assert_true(text_format(path, sizeof(path), "/sys/class/block/%s", disk->name));
	assert_true(text_format(text, sizeof(text), "../../devices/%s/block/%s", bus,
				disk->name));
	put_link(sysroot, text, path);
	if (disk->udev) {
		assert_true(text_format(path, sizeof(path), "/dev/disk/by-label/%s",
					disk->udev));
		assert_true(text_format(text, sizeof(text), "../../%s", disk->name));
		put_link(sysroot, text, path);
	}
	assert_true(text_format(path, sizeof(path), "/dev/%s", disk->name));
	put_node(sysroot, disk, path);
	disk_count++;
}
