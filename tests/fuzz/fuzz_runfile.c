/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "worker/runfile.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct runfile runfile;

	if (runfile_parse((const char *)data, size, &runfile) && runfile.version[0] &&
	    !version_valid(span_of(runfile.version)))
		abort();
	return 0;
}
