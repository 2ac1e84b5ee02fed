/* SPDX-License-Identifier: Apache-2.0 */
#include "model/config_drive.h"

#include <string.h>
#include <strings.h>

#include "base/macro.h"

#define LABEL "config-2"
#define SECTOR 512

struct magic {
	enum config_drive_kind kind;
	size_t at; /* of the magic, from the device's first byte */
	const char *bytes;
	size_t count;
	size_t label_at, label_size;
};

/* The numbers are of the formats. An iso9660 image may begin with a boot sector that
 * looks like FAT, so iso9660 is asked first. */
static const struct magic magics[] = {
	{ CONFIG_DRIVE_ISO9660, 0x8000, "\1CD001", 6, 0x8000 + 40, 32 },
	{ CONFIG_DRIVE_VFAT, 82, "FAT32   ", 8, 71, 11 },
	{ CONFIG_DRIVE_VFAT, 54, "FAT16   ", 8, 43, 11 },
	{ CONFIG_DRIVE_VFAT, 54, "FAT12   ", 8, 43, 11 },
	{ CONFIG_DRIVE_EXT, 0x438, "\x53\xef", 2, 0x478, 16 },
};

static bool holds(struct span head, const struct magic *magic)
{
	return magic->label_at + magic->label_size <= head.len &&
	       magic->at + magic->count <= head.len &&
	       memcmp(head.at + magic->at, magic->bytes, magic->count) == 0 &&
	       (magic->kind != CONFIG_DRIVE_VFAT ||
		(head.len >= SECTOR && memcmp(head.at + SECTOR - 2, "\x55\xaa", 2) == 0));
}

struct config_drive_label config_drive_read_label(struct span head)
{
	struct config_drive_label label = { .kind = CONFIG_DRIVE_NONE };

	for (size_t i = 0; i < ARRAY_SIZE(magics); i++) {
		struct span text = { NULL, 0 };

		if (!holds(head, &magics[i]))
			continue;
		text = (struct span){ head.at + magics[i].label_at,
				      strnlen(head.at + magics[i].label_at,
					      magics[i].label_size) };
		(void)span_copy(span_trim(text), label.text, sizeof(label.text));
		label.kind = magics[i].kind;
		return label;
	}
	return label;
}

bool config_drive_is_label(const char *text)
{
	return strcasecmp(text, LABEL) == 0;
}

const char *config_drive_file_system(enum config_drive_kind kind)
{
	switch (kind) {
	case CONFIG_DRIVE_ISO9660:
		return "iso9660";
	case CONFIG_DRIVE_VFAT:
		return "vfat";
	case CONFIG_DRIVE_NONE:
	case CONFIG_DRIVE_EXT:
	default:
		return NULL;
	}
}

/* Of sysfs: a folder of a bus and its number ("/usb3/"), or a folder of that name. */
enum config_drive_bus config_drive_read_bus(const char *link)
{
	static const char *const removable[] = { "/usb", "/mmc_host/", "/firewire",
						 "/fw",  "/memstick",  "/pcmcia" };

	if (strstr(link, "/virtual/"))
		return CONFIG_DRIVE_VIRTUAL;
	for (size_t i = 0; i < ARRAY_SIZE(removable); i++) {
		if (strstr(link, removable[i]))
			return CONFIG_DRIVE_REMOVABLE;
	}
	return CONFIG_DRIVE_FIXED;
}
