/* SPDX-License-Identifier: Apache-2.0 */
#include <stdint.h>
#include <stdlib.h>

#include "worker/catalog_yaml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	cleanup_json struct json *json = NULL;
	struct error err = ERROR_INIT;

	if (catalog_yaml_read((const char *)data, size, &json, &err) == 0 &&
	    json_kind(json_get(json, "driver")) != JSON_KIND_ARRAY)
		abort();
	return 0;
}
