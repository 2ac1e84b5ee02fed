/* SPDX-License-Identifier: Apache-2.0 */

/* A manifest, and a record, of whatever was in the package or on the disk. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/driver/installer_list.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span span = { (const char *)data, size }, version = { "5.6", 3 };
	struct installer_entry entry;
	struct installer_file file;
	char path[INSTALLER_PATH_MAX];

	if (installer_list_open_manifest(&span, &version) && version.len == 0)
		abort();
	while (installer_list_next_file(&span, &file)) {
		if (installer_list_place(&file, version, path) && path[0] != '/')
			abort();
		if (installer_list_is_versioned(file.name, version) &&
		    !memmem(file.name.at, file.name.len, version.at, version.len))
			abort();
	}
	span = (struct span){ (const char *)data, size };
	(void)installer_list_open_record(&span, &version);
	while (installer_list_next_entry(&span, &entry)) {
		if (entry.path.len == 0 || entry.path.at[0] != '/')
			abort();
	}
	return 0;
}
