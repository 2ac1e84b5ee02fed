/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings_keys.h"

#include "base/macro.h"
#include "support/cmocka.h"

static void a_pattern_stands_for_itself_or_for_all_below(void **state)
{
	static const struct {
		const char *list, *path;
		bool allowed;
	} rows[] = {
		{ "*", "driver.url", true },
		{ "", "driver.url", false },
		{ "driver.url", "driver.url", true },
		{ "driver.url", "driver.url2", false },
		{ "driver.url", "driver.ur", false },
		{ "driver.*", "driver.url", true },
		{ "driver.*", "driverx.url", false },
		{ "driver.*", "driver", false },
		{ "a,driver.*,b", "driver.sha256", true },
		{ "a,b,client_token", "client_token", true },
		{ "a,b", "b", true },
		{ "license.gridd.*", "license.gridd.LicenseInterval", true },
		{ "license.gridd.*", "license.feature_type", false },
		{ ".*", "driver.url", false },
		{ "d*", "driver.url", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (settings_keys_allow(rows[i].list, rows[i].path) != rows[i].allowed)
			fail_msg("row %zu: %s, %s", i, rows[i].list, rows[i].path);
	}
}

static void what_the_metadata_can_never_set_is_no_pattern(void **state)
{
	static const struct {
		const char *pattern;
		bool known;
	} rows[] = {
		{ "*", true },
		{ "driver.*", true },
		{ "driver.url", true },
		{ "client_token", true },
		{ "client_token_base64", true },
		{ "license.gridd.Anything", true },
		{ "license.gridd.*", true },
		{ "driver.index_key", false },
		{ "http.*", false },
		{ "metadata.*", false },
		{ "", false },
		{ "drivers.*", false },
		{ "license.gridd.", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (settings_keys_known(span_of(rows[i].pattern)) != rows[i].known)
			fail_msg("row %zu: %s", i, rows[i].pattern);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_pattern_stands_for_itself_or_for_all_below),
		cmocka_unit_test(what_the_metadata_can_never_set_is_no_pattern),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
