/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * gridd.conf as the settings want it.
 */

#include "base/root.h"
#include "model/settings.h"

#define CONFIGURE_PATH "/etc/nvidia/gridd.conf"

/*
 * Begins from gridd.conf, else from gridd.conf.template, else from nothing. With `dry`
 * nothing is written. `ret_detail` gets "FeatureType 0 -> 1" or "".
 */
must_check int configure_gridd(const struct settings_license *settings,
			       const struct root *root, bool dry, bool *ret_changed,
			       char *ret_detail, size_t size, struct error *err);
