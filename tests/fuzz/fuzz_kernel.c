/* SPDX-License-Identifier: Apache-2.0 */

/* os-release and a kernel's configuration, as an image may bring them. */

#include <stdint.h>

#include "model/kernel/kernel.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = { (const char *)data, size };
	struct kernel kernel = { .release = "" };
	struct os os = { .id = "" };

	(void)kernel_read_config(text, &kernel);
	kernel_read_os_release(text, &os);
	(void)kernel_release_valid(text);
	return 0;
}
