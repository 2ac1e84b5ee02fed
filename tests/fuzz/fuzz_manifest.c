/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "model/repository/manifest.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An entry that is handed on is one that may become a path and a header. */
static void check(void *context, const struct manifest_entry *entry, size_t line,
		  const char *why)
{
	(void)context;
	if (line == 0 || (entry == NULL) == (why == NULL))
		abort();
	if (entry && !manifest_path_is_safe(span_of(entry->name)))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct manifest_reader reader;
	size_t half = size / 2;

	manifest_begin(&reader, check, NULL);
	(void)manifest_feed(&reader, (const char *)data, half);
	(void)manifest_feed(&reader, (const char *)data + half, size - half);
	(void)manifest_end(&reader);
	return 0;
}
