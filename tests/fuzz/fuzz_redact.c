/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/doctor/redact.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What is clean stays as it is, and no token's beginning is left. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *once = redact_text((struct span){ (const char *)data, size });

	if (!once)
		return 0;
	if (strlen(once) > size * 12 || strstr(once, "eyJhbGciOi"))
		abort();
	free(once);
	return 0;
}
