/* SPDX-License-Identifier: Apache-2.0 */

/* Whatever a compiler prints: a text that ends, fits and holds nothing to obey. */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/kernel/build_log.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const size_t sizes[] = { 1, 7, 64, 420 };

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		char *text = malloc(sizes[i]);

		if (!text)
			return 0;
		(void)build_log_read((struct span){ (const char *)data, size }, text,
				     sizes[i]);
		for (const char *c = text; *c; c++) {
			if ((unsigned char)*c < ' ')
				abort();
		}
		free(text);
	}
	return 0;
}
