/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/license/gridd_conf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char *set(struct span text)
{
	static const struct gridd_conf_value values[] = { { "FeatureType", "1" },
							  { "B", "x y #z" } };
	struct gridd_conf_edit edit = { 0 };
	struct error err = ERROR_INIT;

	if (gridd_conf_set(text, values, 2, &edit, &err) < 0)
		return NULL;
	return edit.text;
}

/* Set, it is set; set twice, it is as set once. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_free char *once = set((struct span){ (const char *)data, size });
	cleanup_free char *twice = once ? set(span_of(once)) : NULL;
	char value[8];

	if (!once)
		return 0;
	if (!twice || strcmp(once, twice) != 0)
		abort();
	if (!gridd_conf_get(span_of(once), "FeatureType", value, sizeof(value)) ||
	    strcmp(value, "1") != 0)
		abort();
	return 0;
}
