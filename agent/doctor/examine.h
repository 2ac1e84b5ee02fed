/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why it is not licensed or does not work.
 */

#include "base/json.h"
#include "core/guest.h"
#include "core/state.h"

/*
 * The contract's object of the command `doctor`. Ends with the status of the likeliest
 * cause, its message and its hint; 0 where every GPU that needs a license has one.
 */
must_check int examine_guest(const struct context *ctx, const struct guest *guest,
			     const struct state *state, struct json **ret_report,
			     struct error *err);
