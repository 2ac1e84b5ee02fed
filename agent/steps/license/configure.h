/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * gridd.conf as the settings want it.
 */

#include "base/root.h"
#include "model/settings/settings.h"

struct configure_result {
	bool changed;
	char detail[256]; /* "FeatureType 0 -> 1", or "" */
};

/*
 * Begins from gridd.conf, else from gridd.conf.template, else from nothing. With `dry`
 * nothing is written, and the result tells what would be.
 */
must_check int configure_gridd(const struct settings_license *settings,
			       const struct root *root, bool dry,
			       struct configure_result *ret_result, struct error *err);
