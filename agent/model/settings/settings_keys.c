/* SPDX-License-Identifier: Apache-2.0 */
#include "model/settings/settings_keys.h"

#include <string.h>

#include "base/text.h"
#include "model/settings/settings_table.h"

static bool matches(struct span pattern, const char *path)
{
	if (span_equals(pattern, "*"))
		return true;
	if (!span_ends(pattern, ".*"))
		return span_equals(pattern, path);
	return strncmp(pattern.at, path, pattern.len - 1) == 0;
}

bool settings_keys_allow(const char *list, const char *path)
{
	struct span rest = span_of(list), pattern;
	bool more = list[0] != '\0';

	while (more) {
		more = span_split(rest, ',', &pattern, &rest);
		if (matches(pattern, path))
			return true;
	}
	return false;
}

/* An option of gridd.conf has no line in the table: any name will do. */
bool settings_keys_known(struct span pattern)
{
	static const char gridd[] = SETTINGS_TABLE_GRIDD ".";

	if (matches(pattern, SETTINGS_KEYS_TOKEN) ||
	    matches(pattern, SETTINGS_KEYS_TOKEN "_base64") ||
	    (span_starts(pattern, gridd) && pattern.len > strlen(gridd)))
		return true;
	for (size_t i = 0; i < settings_table_count(); i++) {
		const struct settings_key *key = settings_table_at(i);

		if (key->metadata && matches(pattern, key->path))
			return true;
	}
	return false;
}
