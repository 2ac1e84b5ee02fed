/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata_drive.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/file.h"
#include "base/span.h"
#include "base/text.h"
#include "model/paths.h"

#define MOUNTS_MAX (4u << 20)
#define OUTPUT_MAX 4096
#define TIMEOUT_S 30
#define PLACE_MAX 256

void metadata_drive_done(struct metadata_drive *drive)
{
	for (size_t i = 0; i < drive->count; i++)
		(void)close(drive->fds[i]);
	drive->count = 0;
}

/* udev's link by label leads to "../../vdb"; /proc/self/mounts has "/dev/vdb". */
static bool find_by_label(const struct root *root, char device[static PLACE_MAX])
{
	static const char *const links[] = { "/dev/disk/by-label/config-2",
					     "/dev/disk/by-label/CONFIG-2" };

	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		struct error ignored = ERROR_INIT;
		char target[PLACE_MAX];

		if (root_readlink(root, links[i], target, sizeof(target), &ignored) < 0)
			continue;
		return text_format(device, PLACE_MAX, "/dev/%s", text_base_name(target));
	}

	return false;
}

/* Where udev has not run: a container, or early at boot. */
static int find_by_blkid(struct runner *runner, const struct root *root,
			 char device[static PLACE_MAX], struct error *err)
{
	char blkid[64];
	const char *const argv[] = {
		blkid, "-t", "LABEL=config-2", "-o", "device", NULL
	};
	const struct run run = { .argv = argv,
				 .timeout_s = TIMEOUT_S,
				 .output_limit = OUTPUT_MAX };
	cleanup(run_result_done) struct run_result result = { 0 };
	struct span rest, line;

	device[0] = '\0';
	if (!run_find(root, "blkid", blkid, sizeof(blkid)))
		return 0;
	if (run_command(runner, root, &run, &result, err) < 0)
		return error_prefix(err, "looking for the config drive");

	/* Exit status 2 is "none", which is usual; a line is a device or it is not. */
	rest = (struct span){ result.output, result.size };
	while (device[0] == '\0' && span_next_line(&rest, &line)) {
		if (span_starts(line, "/dev/") && !span_copy(line, device, PLACE_MAX))
			device[0] = '\0';
	}
	return 0;
}

/* "\040" and its like stand for blanks in /proc/self/mounts (proc(5)). */
static bool read_place(struct span field, char place[static PLACE_MAX])
{
	size_t used = 0;

	for (size_t i = 0; i < field.len; i++) {
		char c = field.at[i];

		if (used + 1 == PLACE_MAX)
			return false;
		if (c == '\\' && i + 3 < field.len) {
			c = (char)((field.at[i + 1] - '0') * 64 +
				   (field.at[i + 2] - '0') * 8 + (field.at[i + 3] - '0'));
			i += 3;
		}
		place[used++] = c;
	}
	place[used] = '\0';

	return used > 0 && place[0] == '/';
}

/* Where the device is mounted already. */
static bool find_mounted(const struct root *root, const char *device,
			 char place[static PLACE_MAX])
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	struct span rest, line;
	size_t size;

	if (file_read(root, "/proc/self/mounts", MOUNTS_MAX, &text, &size, &ignored) < 0)
		return false;

	rest = (struct span){ text, size };
	while (span_next_line(&rest, &line)) {
		struct span source, field;

		(void)span_split(line, ' ', &source, &line);
		(void)span_split(line, ' ', &field, &line);
		if (span_equals(source, device) && read_place(field, place))
			return true;
	}

	return false;
}

/* Links on the drive stay on the drive: it is a root of its own. */
static void open_files(const struct root *root, const char *place,
		       struct metadata_drive *drive)
{
	static const char *const names[METADATA_DRIVE_FILES] = { "vendor_data2.json",
								 "vendor_data.json" };
	struct error ignored = ERROR_INIT;
	cleanup(root_close) struct root tree = ROOT_INIT;

	tree.fd = root_open_at(root, place, O_PATH | O_DIRECTORY, 0, &ignored);
	for (size_t i = 0; tree.fd >= 0 && i < METADATA_DRIVE_FILES; i++) {
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

static int run_tool(struct runner *runner, const struct root *root, const char **argv,
		    struct error *err)
{
	char tool[64];
	const struct run run = { .argv = argv,
				 .timeout_s = TIMEOUT_S,
				 .output_limit = OUTPUT_MAX };

	if (!run_find(root, argv[0], tool, sizeof(tool)))
		return error_set(err, ERROR_PREREQUISITES, "there is no %s here",
				 argv[0]);
	argv[0] = tool;
	return run_checked(runner, root, &run, err);
}

static int unmount(struct runner *runner, const struct root *root, struct error *err)
{
	const char *argv[] = { "umount", "--lazy", PATHS_DRIVE, NULL };

	if (run_tool(runner, root, argv, err) < 0)
		return -1;
	return root_unlink(root, PATHS_DRIVE, err);
}

/*
 * The open files keep the drive; the mount is taken out of the tree at once, so that
 * hardly any end of this program can leave it behind.
 */
static int open_unmounted(struct runner *runner, const struct root *root,
			  const char *device, struct metadata_drive *drive,
			  struct error *err)
{
	const char *mount[] = { "mount", "-o",        "ro,nosuid,nodev,noexec",
				device,  PATHS_DRIVE, NULL };

	if (root_mkdir(root, PATHS_DRIVE, 0755, err) < 0 ||
	    run_tool(runner, root, mount, err) < 0)
		return -1;

	open_files(root, PATHS_DRIVE, drive);
	return unmount(runner, root, err);
}

static int open_device(struct runner *runner, const struct root *root, const char *device,
		       struct metadata_drive *drive, struct error *err)
{
	char place[PLACE_MAX];

	if (!find_mounted(root, device, place))
		return open_unmounted(runner, root, device, drive, err);

	open_files(root, place, drive);
	/* Ours, of a run that was killed in between. */
	return strcmp(place, PATHS_DRIVE) == 0 ? unmount(runner, root, err) : 0;
}

int metadata_drive_open(struct runner *runner, const struct root *root,
			struct metadata_drive *ret_drive, struct error *err)
{
	struct metadata_drive drive = METADATA_DRIVE_INIT;
	char device[PLACE_MAX] = "";
	struct error why = ERROR_INIT;

	if (!find_by_label(root, device) && find_by_blkid(runner, root, device, err) < 0)
		return -1;

	/* A drive that cannot be read is worth a warning: the service may know better. */
	if (device[0] && open_device(runner, root, device, &drive, &why) < 0) {
		if (why.interrupted) {
			metadata_drive_done(&drive);
			*err = why;
			return -1;
		}
		(void)text_format(drive.warning, sizeof(drive.warning),
				  "config drive %.40s: %.100s", device, why.text);
	}

	*ret_drive = drive;
	return 0;
}
