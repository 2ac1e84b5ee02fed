/* SPDX-License-Identifier: Apache-2.0 */

/* A log, and a help text, of whatever was in the package. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/driver/installer_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t sizes[] = { 1, 9, 100, 400 };
	struct span span = { (const char *)data, size };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = malloc(sizes[i]);

		if (!text)
			return 0;
		installer_log_errors(span, text, sizes[i]);
		for (const char *c = text; *c; c++) {
			if ((unsigned char)*c < ' ' || (c[0] == ' ' && c[1] == ' '))
				abort();
		}
		free(text);
	}
	if (installer_log_has_option(span, "--no-x-check") &&
	    !memmem(data, size, "--no-x-check", 12))
		abort();
	return 0;
}
