/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What a build needs of the package manager is installed while the driver is fetched and
 * unpacked. Both take long, and neither needs the other.
 */

#include "driver/work.h"
#include "model/repository/repository.h"

/*
 * Starts it where a build is to come and something is missing for it that may be
 * installed. What cannot be started now is done by the build itself.
 */
void toolchain_ahead_begin(const struct context *ctx, const struct repository *repository,
			   struct work *work);

/*
 * Waits for it: its error is the build's. Nothing under way: 0. Whoever began it ends it,
 * too, after a step has failed: a package manager is not left behind or cut off.
 */
must_check int toolchain_ahead_end(const struct context *ctx, struct work *work,
				   struct error *err);
