/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * metadata.keys: what root's file lets the cloud set. A list of patterns, each a key
 * ("license.feature_type"), all keys below one ("driver.*"), or all ("*").
 */

#include <stdbool.h>

#include "base/span.h"

/* The key of a token in the metadata, which is no setting. */
#define SETTINGS_KEYS_TOKEN "client_token"

/* Whether a pattern of `list`, which has commas between them, stands for the key. */
bool settings_keys_allow(const char *list, const char *path);

/* Whether any key that the metadata may have is meant by the pattern: a typo must show.
 */
bool settings_keys_known(struct span pattern);
