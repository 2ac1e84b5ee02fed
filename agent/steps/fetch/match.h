/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Asks the repository what it has, through the worker. The decision is
 * model/driver/match.h's.
 */

#include "base/channel.h"
#include "base/root.h"
#include "model/repository/repository.h"
#include "model/settings/settings.h"
#include "model/transport.h"

/*
 * ERROR_NETWORK when it cannot be reached: no reason to fail while a driver fits.
 * ERROR_USAGE for a repository that is not http(s). `root`: where a catalog's path lies;
 * the caller's files are outside.
 */
must_check int match_list(const struct settings_driver *settings,
			  const struct transport *transport, const struct root *root,
			  const struct channel *channel,
			  struct repository *ret_repository, struct error *err);
