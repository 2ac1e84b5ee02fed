/* SPDX-License-Identifier: Apache-2.0 */

/* A configuration space is a host's word: every byte of it may be anything. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/gpu.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() is not there in an optimised build. */
static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct gpu gpu = { .address = "0000:06:00.0" };
	uint8_t *copy = malloc(size ? size : 1); /* so that a byte beyond is seen */

	if (!copy)
		return 0;
	memcpy(copy, data, size);
	gpu_read_config(&gpu, copy, size);
	free(copy);

	require((gpu.host.version[0] != '\0') == (gpu.note[0] == '\0'));
	require((gpu.record == GPU_RECORD_READ) == (gpu.host.version[0] != '\0'));
	return 0;
}
