/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Where the configuration comes from: agent.conf, conf.d, metadata, --set; in this order.
 */

#include "commands/agent.h"

/*
 * Reads agent.conf and conf.d, or only the file of --config, into agent->base. A file
 * that others may write is ERROR_USAGE. A missing default file is fine, a missing
 * --config is not.
 */
must_check int config_read(struct agent *agent, struct error *err);

/*
 * agent->settings = base, metadata (NULL: none), --set. Lines about keys that were not
 * taken from the metadata are added to `warnings`, a JSON array.
 */
must_check int config_assemble(struct agent *agent, const struct json *metadata,
			       struct json *warnings, struct error *err);
