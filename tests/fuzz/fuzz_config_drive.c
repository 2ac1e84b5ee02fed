/* SPDX-License-Identifier: Apache-2.0 */

/* The first bytes of any block device that is there when the config drive is looked for.
 */

#include "fuzz/fuzz.h"
#include "model/settings/config_drive.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span head = { (const char *)data, size };
	struct config_drive_label label = config_drive_read_label(head);

	fuzz_require(memchr(label.text, '\0', sizeof(label.text)) != NULL);
	fuzz_require(label.kind != CONFIG_DRIVE_NONE || label.text[0] == '\0');
	(void)config_drive_is_label(label.text);
	(void)config_drive_read_bus(label.text);
	return 0;
}
