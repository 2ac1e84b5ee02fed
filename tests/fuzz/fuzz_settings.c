/* SPDX-License-Identifier: Apache-2.0 */

/* What is read from a file must pass for settings: numbers within their range. */

#include <stdint.h>
#include <stdlib.h>

#include "model/settings/settings.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* libconfig 1.5 loses its texts of a file that it cannot parse. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

/* assert() is not there in an optimised build. */
static void require(bool holds)
{
	if (!holds)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings;
	struct error err = ERROR_INIT;
	int result;

	settings_init(&settings);
	result = settings_read(&settings, (const char *)data, size, "file", SETTINGS_FILE,
			       &err);

	require(result == 0 || err.code == ERROR_USAGE);
	require(settings.http.retries >= 0 && settings.http.retries <= 100);
	require(settings.license.feature_type >= 0 && settings.license.feature_type <= 4);
	require(settings.license.gridd_count <= SETTINGS_GRIDD_MAX);
	return 0;
}
