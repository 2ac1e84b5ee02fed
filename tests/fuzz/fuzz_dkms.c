/* SPDX-License-Identifier: Apache-2.0 */

/* What "dkms status" says, and a dkms.conf of anybody's. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/kernel/dkms.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	char path[64];

	if (dkms_is_installed(text, "550.90.07", "6.1.0-37-amd64") &&
	    !memmem(data, size, "550.90.07", 9))
		abort();
	if (dkms_conf_is_ours(text) && (size == 0 || data[0] != '#'))
		abort();
	if (dkms_certificate(text, path, sizeof(path)) && path[0] != '/')
		abort();
	return 0;
}
