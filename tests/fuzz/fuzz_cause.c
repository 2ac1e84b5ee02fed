/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "model/license/cause.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size }, line;
	struct license_reason reason = { 0 };

	while (span_next_line(&rest, &line)) {
		cause_read_line(line, &reason);
		if (reason.code && !reason.hint[0])
			abort();
	}
	return 0;
}
