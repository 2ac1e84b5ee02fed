/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the configuration comes from: agent.conf, conf.d, metadata, --set; in this order.
 */

#include "core/context.h"

/*
 * Reads agent.conf and conf.d below `root`, or only the file of --config below `caller`.
 * A file that others may write is ERROR_USAGE. A missing default file is fine, a missing
 * --config is not.
 */
must_check int config_read(const struct options *options, const struct root *root,
			   const struct root *caller, struct settings *ret_base,
			   struct error *err);

/*
 * The settings in force: `base`, then the metadata's object (NULL: none), then --set and
 * --driver. Lines about keys that were not taken from the metadata are added to
 * `warnings`, a JSON array. On failure `ret_settings` is of no use.
 */
must_check int config_assemble(const struct options *options, const struct settings *base,
			       const struct json *metadata, struct json *warnings,
			       struct settings *ret_settings, struct error *err);
