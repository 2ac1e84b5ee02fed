/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/metadata_drive.h"

#include <fcntl.h>
#include <string.h>

#include "base/detached.h"
#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/metadata_device.h"

#define NOTE_MAX 256
#define NONE "none"

void metadata_drive_done(struct metadata_drive *drive)
{
	for (size_t i = 0; i < drive->count; i++)
		(void)close(drive->fds[i]);
	drive->count = 0;
}

/* Leaves the note of the first look, which only root can. */
static int note(const struct root *root, const struct metadata_device *device,
		struct json *warnings, struct error *err)
{
	const char *identity = device->fd < 0 ? NONE : device->identity;
	struct error why = ERROR_INIT;

	if (geteuid() != 0 || file_write_atomic(root, PATHS_DRIVE_NOTE, identity,
						strlen(identity), 0644, &why) == 0)
		return 0;
	return metadata_device_warn(warnings, device->name, why.text, err);
}

/* Links on the drive stay on the drive: it is a root of its own. */
static void open_files(int folder, struct metadata_drive *drive)
{
	static const char *const names[METADATA_DRIVE_FILES] = { "vendor_data2.json",
								 "vendor_data.json" };
	const struct root tree = { .fd = folder };
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < METADATA_DRIVE_FILES; i++) {
		char path[64];
		struct stat st;
		int fd;

		text_path(path, sizeof(path), "/openstack/latest/%s", names[i]);
		fd = root_open_at(&tree, path, O_RDONLY | O_NONBLOCK, 0, &ignored);
		if (fd < 0)
			continue;
		if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode)) {
			(void)close(fd);
			continue;
		}
		drive->names[drive->count] = names[i];
		drive->fds[drive->count++] = fd;
	}
}

int metadata_drive_open(const struct root *root, bool removable, struct json *warnings,
			struct metadata_drive *ret_drive, struct error *err)
{
	cleanup(metadata_device_done) struct metadata_device device =
		METADATA_DEVICE_INIT;
	struct metadata_drive drive = METADATA_DRIVE_INIT;
	struct metadata_device_choice choice = { .removable = removable };
	cleanup_free char *noted = NULL;
	struct error why = ERROR_INIT;
	cleanup_fd int folder = -1;
	size_t size;

	if (file_read(root, PATHS_DRIVE_NOTE, NOTE_MAX, &noted, &size, &why) == 0)
		choice.identity = noted;
	if (metadata_device_find(root, &choice, warnings, &device, err) < 0 ||
	    (!noted && note(root, &device, warnings, err) < 0))
		return -1;
	*ret_drive = drive;
	if (device.fd < 0)
		return 0;
	why = ERROR_INIT;
	if (detached_open(device.fd, config_drive_file_system(device.kind), &folder,
			  &why) < 0)
		return metadata_device_warn(warnings, device.name, why.text, err);
	open_files(folder, &drive);
	*ret_drive = drive;
	return 0;
}
