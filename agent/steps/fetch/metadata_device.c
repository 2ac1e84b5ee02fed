/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/fetch/metadata_device.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "base/file.h"
#include "base/text.h"

#define DEVICES "/sys/class/block"
#define LABELS "/dev/disk/by-label"
#define DEVICES_MAX 4096
#define PATH_SIZE 320
#define NUMBER_SIZE 64

void metadata_device_done(struct metadata_device *device)
{
	if (device->fd >= 0)
		(void)close(device->fd);
	*device = METADATA_DEVICE_INIT;
}

int metadata_device_warn(struct json *warnings, const char *name, const char *why,
			 struct error *err)
{
	char line[256];

	(void)text_format(line, sizeof(line), "config drive /dev/%.40s: %.180s", name,
			  why);
	text_sanitize(line);
	if (json_append(warnings, json_words(line)) < 0)
		return error_set_errno(err, ENOMEM, "looking for the config drive");
	return 0;
}

/* A short file of /sys, without its newline; false: there is none. */
static bool read_number(const struct root *root, const char *name, const char *file,
			char ret_text[static NUMBER_SIZE])
{
	struct error ignored = ERROR_INIT;
	cleanup_free char *text = NULL;
	char path[PATH_SIZE];
	cleanup_fd int fd = -1;
	size_t size;

	if (!text_format(path, sizeof(path), DEVICES "/%s/%s", name, file))
		return false;
	fd = root_open_at(root, path, O_RDONLY, 0, &ignored);
	if (fd < 0 || file_read_fd(fd, NUMBER_SIZE, &text, &size, &ignored) < 0)
		return false;
	return span_copy(span_trim((struct span){ text, size }), ret_text, NUMBER_SIZE);
}

/* Whether udev has seen the label on the device, whatever file system it is of. */
static bool udev_says_so(const struct root *root, const char *name)
{
	struct error ignored = ERROR_INIT;
	cleanup_strv char **labels = NULL;

	if (root_list(root, LABELS, DEVICES_MAX, &labels, &ignored) < 0)
		return false;
	for (char **label = labels; *label; label++) {
		char path[PATH_SIZE], target[PATH_SIZE];

		if (!config_drive_is_label(*label) ||
		    !text_format(path, sizeof(path), LABELS "/%s", *label) ||
		    root_readlink(root, path, target, sizeof(target), &ignored) < 0)
			continue;
		if (strcmp(text_base_name(target), name) == 0)
			return true;
	}
	return false;
}

/* The node in /dev, which must be the device of this number and nothing else. */
static int open_node(const struct root *root, const char *name, const char *number,
		     struct error *err)
{
	cleanup_fd int fd = -1;
	char path[PATH_SIZE];
	struct stat st;

	(void)text_format(path, sizeof(path), "/dev/%s", name);
	if (!root_stat(root, path, &st))
		return error_set_errno(err, ENOENT, "opening %s", path);
	if (S_ISBLK(st.st_mode))
		fd = root_open_at(root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW, 0, err);
	else
		return error_set(err, ERROR_INTERNAL, "it is no block device");
	if (fd < 0)
		return -1;
	if (fstat(fd, &st) < 0)
		return error_set_errno(err, errno, "looking at %s", path);
	(void)text_format(path, sizeof(path), "%u:%u", major(st.st_rdev),
			  minor(st.st_rdev));
	if (!S_ISBLK(st.st_mode) || strcmp(path, number) != 0)
		return error_set(err, ERROR_INTERNAL,
				 "it is not the device %s that the kernel calls so",
				 number);
	return take_fd(fd);
}

static int read_label(int fd, struct config_drive_label *ret_label, struct error *err)
{
	cleanup_free char *head = malloc(CONFIG_DRIVE_HEAD);
	size_t used = 0;

	if (!head)
		return error_set_errno(err, ENOMEM, "reading it");
	if (file_read_at(fd, 0, head, CONFIG_DRIVE_HEAD, &used, err) < 0)
		return -1;
	*ret_label = config_drive_read_label((struct span){ head, used });
	return 0;
}

/* What the device is told apart by: its number, and the count of all that ever came. */
static void identify(const struct root *root, const char *number,
		     struct metadata_device *device)
{
	char sequence[NUMBER_SIZE] = "";

	if (!read_number(root, device->name, "diskseq", sequence))
		(void)text_copy(sequence, sizeof(sequence), "-");
	(void)text_format(device->identity, sizeof(device->identity), "%.30s %.30s %.30s",
			  device->name, number, sequence);
}

/*
 * Why a device with the label is none that is believed; NULL: it is. Of a device that is
 * made by software only udev's word is heard: reading one may wait for ever.
 */
static const char *judge(enum config_drive_bus bus, bool removable,
			 const struct config_drive_label *label)
{
	if (bus == CONFIG_DRIVE_VIRTUAL)
		return "passed over: it is a loop or another device of software";
	if (bus == CONFIG_DRIVE_REMOVABLE && !removable)
		return "passed over: it is on a removable bus "
		       "(metadata.removable_drive takes such a drive, too)";
	if (!config_drive_file_system(label->kind))
		return "passed over: it is neither iso9660 nor vfat";
	return NULL;
}

/* Whether it has the label; then it is in `device`, or a warning tells why it is not. */
static int look_at(const struct root *root, const char *name,
		   const struct metadata_device_choice *choice, struct json *warnings,
		   struct metadata_device *device, struct error *err)
{
	cleanup(metadata_device_done) struct metadata_device found = METADATA_DEVICE_INIT;
	struct config_drive_label label = { .kind = CONFIG_DRIVE_NONE };
	char path[PATH_SIZE], link[PATH_SIZE], number[NUMBER_SIZE];
	struct error why = ERROR_INIT;
	enum config_drive_bus bus;
	const char *verdict;

	if (!text_copy(found.name, sizeof(found.name), name) ||
	    !text_format(path, sizeof(path), DEVICES "/%s", name) ||
	    root_readlink(root, path, link, sizeof(link), &why) < 0 ||
	    !read_number(root, name, "dev", number))
		return 0;
	bus = config_drive_read_bus(link);
	if (bus != CONFIG_DRIVE_VIRTUAL) {
		found.fd = open_node(root, name, number, &why);
		if (found.fd < 0 || read_label(found.fd, &label, &why) < 0)
			return why.errnum == 0 || udev_says_so(root, name)
				       ? metadata_device_warn(warnings, name, why.text,
							      err)
				       : 0;
	}
	if (!config_drive_is_label(label.text) && !udev_says_so(root, name))
		return 0;

	verdict = judge(bus, choice->removable, &label);
	identify(root, number, &found);
	if (!verdict && choice->identity && strcmp(found.identity, choice->identity) != 0)
		verdict = "passed over: it is not the one that was there at the boot";
	if (!verdict && device->fd >= 0)
		verdict = "passed over: it is a second one";
	if (verdict)
		return metadata_device_warn(warnings, name, verdict, err);
	found.kind = label.kind;
	*device = found;
	found.fd = -1;
	return 0;
}

int metadata_device_find(const struct root *root,
			 const struct metadata_device_choice *choice,
			 struct json *warnings, struct metadata_device *ret_device,
			 struct error *err)
{
	cleanup(metadata_device_done) struct metadata_device device =
		METADATA_DEVICE_INIT;
	cleanup_strv char **names = NULL;

	if (root_list(root, DEVICES, DEVICES_MAX, &names, err) < 0)
		return error_prefix(err, "looking for the config drive");
	for (char **name = names; *name; name++) {
		if (look_at(root, *name, choice, warnings, &device, err) < 0)
			return -1;
	}
	*ret_device = device;
	device.fd = -1;
	return 0;
}
