/* SPDX-License-Identifier: Apache-2.0 */

/* The catalog as the worker hands it over: any JSON may stand anywhere in it. */

#include <stdint.h>

#include "model/driver/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct host_driver driver = { "535.161.05", "r538_27" };
	const struct catalog_host host = { &driver, 0x1eb8, 0x130f, "Linux KVM" };
	cleanup_catalog struct catalog *catalog = NULL;
	cleanup_json struct json *json = NULL;
	struct error err = ERROR_INIT;
	const char *why;

	if (json_parse((const char *)data, size, &json, &err) == 0 &&
	    catalog_from_json(json, &catalog, &err) == 0)
		(void)catalog_judge(catalog, &host, "535.161.08", &why);
	return 0;
}
