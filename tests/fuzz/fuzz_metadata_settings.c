/* SPDX-License-Identifier: Apache-2.0 */

/* The object vgpu_guest_agent of the metadata over a configuration file, cut at the first
 * NUL byte: it may set what is marked for it, and nothing else. */

#include "base/text.h"
#include "fuzz/fuzz.h"
#include "model/settings/settings.h"
#include "model/settings/settings_table.h"

/* libconfig 1.5 loses its texts of a file that it cannot parse. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libconfig";
}

/* Both as "driver.url" -> {"value","origin"}. */
static void check_unmarked(const struct json *before, const struct json *after)
{
	for (size_t i = 0; i < settings_table_count(); i++) {
		const struct settings_key *key = settings_table_at(i);
		cleanup_free char *one = NULL, *other = NULL;

		if (key->metadata)
			continue;
		one = json_print(json_get(before, key->path));
		other = json_print(json_get(after, key->path));
		fuzz_require(one && other && strcmp(one, other) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct settings settings;
	struct span rest = { (const char *)data, size };
	struct span object = fuzz_part(&rest);
	cleanup_json struct json *json = NULL, *warnings = json_build("[]");
	cleanup_json struct json *before = NULL, *after = NULL;
	struct error err = ERROR_INIT;

	settings_init(&settings);
	if (settings_read(&settings, rest.at, rest.len, "file", SETTINGS_FILE, &err) <
		    0 ||
	    json_parse(object.at, object.len, &json, &err) < 0)
		return 0;
	before = settings_json(&settings);

	if (settings_read_metadata(&settings, json, warnings, &err) < 0) {
		fuzz_require(err.code == ERROR_USAGE || err.code == ERROR_INTEGRITY);
		return 0;
	}
	/* Of a file on this machine root alone may speak. */
	fuzz_require(!text_starts(settings.driver.url, "file:") ||
		     settings.driver_layer != SETTINGS_METADATA);
	after = settings_json(&settings);
	fuzz_require(before && after);
	check_unmarked(before, after);
	fuzz_require(settings.license.feature_type >= 0 &&
		     settings.license.feature_type <= 4);
	fuzz_require(settings.license.gridd_count <= SETTINGS_GRIDD_MAX);
	if (settings_check(&settings, &err) < 0)
		fuzz_require(err.code == ERROR_USAGE);
	return 0;
}
