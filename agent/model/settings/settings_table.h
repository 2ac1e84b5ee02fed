/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The table of keys, and which layer wins. To add a key: its member in
 * model/settings/settings.h and its line in settings_table.c.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "model/settings/settings_value.h"

#define SETTINGS_TABLE_GRIDD "license.gridd"

void settings_table_init(struct settings *ret_settings);

size_t settings_table_count(void);
const struct settings_key *settings_table_at(size_t index);
const struct settings_key *settings_table_find(const char *path);

/* Who set the key; NULL for no key. */
const struct settings_origin *settings_table_origin(const struct settings *settings,
						    const char *path);

/* Whether keys lie below `path`: "driver", "license.gridd". */
bool settings_table_is_section(const char *path);

/* The known key that looks most like `path`; NULL: none is near. */
const char *settings_table_nearest(const char *path);

/* settings_value_put(), unless a higher layer has set the key: then only the check. */
must_check int settings_table_put(struct settings *settings,
				  const struct settings_key *key,
				  const struct settings_value *value,
				  const struct settings_origin *origin,
				  struct error *err);

/* The same for license.gridd.<name>. */
must_check int settings_table_put_gridd(struct settings *settings, const char *name,
					const struct settings_value *value,
					const struct settings_origin *origin,
					struct error *err);
