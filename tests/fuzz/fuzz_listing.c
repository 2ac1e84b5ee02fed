/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/repository/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A link that is handed on is a file's name, never a path. */
static void check(void *context, const struct manifest_entry *entry, size_t line,
		  const char *why)
{
	(void)context;
	if (line == 0 || (entry == NULL) == (why == NULL))
		abort();
	if (entry &&
	    (!manifest_path_is_safe(span_of(entry->name)) || strchr(entry->name, '/')))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	manifest_listing((const char *)data, size, check, NULL);
	return 0;
}
