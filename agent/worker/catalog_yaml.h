/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * NVIDIA's vgpuDriverCatalog.yaml as the JSON that model/driver/catalog.h takes. The only
 * room that includes libyaml.
 */

#include <stddef.h>

#include "base/error.h"
#include "base/json.h"

#define CATALOG_YAML_MAX (2u << 20) /* bytes; the real one has half a million */
#define CATALOG_YAML_DEPTH_MAX 16
#define CATALOG_YAML_NODES_MAX 200000
#define CATALOG_YAML_LIST_MAX 4096 /* entries of any one list: each is asked of each */

/*
 * {"branch":[...],"driver":[...]}: every scalar as the text that stands there (470.60
 * stays 470.60), a plain null as null, other keys of the document left out. Aliases are
 * refused: they let a short text stand for an endless one. ERROR_INTEGRITY with the line.
 */
must_check int catalog_yaml_read(const char *text, size_t size, struct json **ret_json,
				 struct error *err);
