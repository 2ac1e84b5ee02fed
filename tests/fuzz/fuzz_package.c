/* SPDX-License-Identifier: Apache-2.0 */

/* Names come from manifests that anybody may have written. */

#include <stdint.h>
#include <stdlib.h>

#include "model/driver/package.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* assert() is not there in an optimised build. */
static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span name = { (const char *)data, size };
	struct package package;
	const char *why = NULL;

	if (package_parse(name, &package, &why)) {
		require(package.kind != PACKAGE_NONE);
		require(version_valid(span_of(package.version)));
	} else {
		require(package.kind == PACKAGE_NONE && why != NULL);
	}
	return 0;
}
