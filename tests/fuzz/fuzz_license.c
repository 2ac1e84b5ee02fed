/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/license/license.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* "Unlicensed" holds "licensed": only the whole first word makes a license. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span text = span_trim((struct span){ (const char *)data, size });
	struct license_feature feature;

	license_read_status(text, &feature);
	if (feature.state == LICENSE_LICENSED && !span_starts(text, "Licensed"))
		abort();
	if (feature.expiry_kind == LICENSE_EXPIRY_DATE &&
	    (feature.expiry < 0 || feature.expiry > 253402300800))
		abort();
	return 0;
}
