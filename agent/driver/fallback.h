/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A driver that does not compile for this kernel: which version is tried next, and what a
 * person can do where none is left.
 */

#include "core/state.h"
#include "driver/work.h"
#include "model/repository/repository.h"

/*
 * After `err` of the step build: whether the rules, asked again, choose another version
 * that fits the host and is not known to fail. At most three times a run, only with
 * driver.fallback, only while nothing of the old driver was changed, and never instead of
 * a driver that somebody named. False: the hint of `err` says what a person can do.
 */
bool fallback_next(const struct context *ctx, struct state *state,
		   struct repository *repository, const struct work *work,
		   char ret_version[static VERSION_MAX], struct error *err);
