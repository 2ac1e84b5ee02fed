/* SPDX-License-Identifier: Apache-2.0 */

/* The first bytes of any disk that is plugged in, and where sysfs says that it is. */

#include <string.h>

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "model/settings/config_drive.h"

static void check_head(const char *at, size_t size)
{
	struct config_drive_label label =
		config_drive_read_label((struct span){ at, size });

	fuzz_require(strlen(label.text) < sizeof(label.text));
	fuzz_require(label.kind != CONFIG_DRIVE_NONE || label.text[0] == '\0');
	fuzz_require(!config_drive_is_label(label.text) ||
		     label.kind != CONFIG_DRIVE_NONE);
}

/* As it is, and where an iso9660 image has its descriptor: behind 32 KiB of nothing. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char head[CONFIG_DRIVE_HEAD];
	size_t part = size < CONFIG_DRIVE_HEAD - 0x8000 ? size
							: CONFIG_DRIVE_HEAD - 0x8000;
	cleanup_free char *link = strndup((const char *)data, size);

	check_head((const char *)data, size);
	memset(head, 0, sizeof(head));
	memcpy(head + 0x8000, data, part);
	check_head(head, sizeof(head));
	fuzz_require(link != NULL);
	fuzz_require(config_drive_read_bus(link) <= CONFIG_DRIVE_VIRTUAL);
	return 0;
}
