/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/vendordata.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Two documents, cut at the first NUL byte. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(vendordata_done) struct vendordata merged = VENDORDATA_INIT;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	size_t first = end ? (size_t)(end - data) : size;
	const char *second = (const char *)(end ? end + 1 : data + size);
	enum vendordata_verdict verdict;
	struct error err = ERROR_INIT;

	if (vendordata_begin(&merged, &err) < 0)
		return 0;
	if (vendordata_add(&merged, "first", true,
			   (struct span){ (const char *)data, first }, &verdict,
			   &err) < 0 ||
	    vendordata_add(
		    &merged, "second", false,
		    (struct span){ second, (size_t)((const char *)data + size - second) },
		    &verdict, &err) < 0)
		abort();
	if (json_get(merged.object, "client_token") ||
	    json_get(merged.object, "client_token_base64"))
		abort();
	return 0;
}
