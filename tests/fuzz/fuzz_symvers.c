/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/macro.h"
#include "model/kernel/symvers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Half of it is the modules', half the kernel's; what is printed reads the same. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT, again = SYMVERS_INIT;
	struct span text = { (const char *)data, size / 2 };
	struct span kernel = { (const char *)data + size / 2, size - size / 2 };
	cleanup_free char *printed = NULL;
	char symbol[SYMVERS_NAME_MAX];
	struct error err = ERROR_INIT;

	if (symvers_read(text, &symvers, &err) < 0)
		return 0;
	if (symvers_confirm(&symvers, kernel, symbol) &&
	    symvers.confirmed > symvers.count)
		abort();
	printed = symvers_print(&symvers);
	if (!printed || symvers_read(span_of(printed), &again, &err) < 0 ||
	    again.count != symvers.count)
		abort();
	return 0;
}
