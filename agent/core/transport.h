/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Makes the transport: opens what the section `http` and driver.index_key name and copies
 * it into memory files, so that the worker needs no right to read the originals.
 */

#include "base/root.h"
#include "model/settings/settings.h"
#include "model/transport.h"

/*
 * Files that the command line names lie below `caller`, all others below `root`.
 * `base`: the settings without metadata, whose hosts may see credentials. ERROR_USAGE for
 * a secret that others may read. The caller ends with transport_done().
 */
must_check int transport_open(const struct settings *settings,
			      const struct settings *base, const struct root *root,
			      const struct root *caller, struct transport *ret_transport,
			      struct error *err);
void transport_done(struct transport *transport);
