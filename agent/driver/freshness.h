/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether a signed index is the last one. A signature says who made it, not when: whoever
 * keeps an old one could show it for ever, and with it drivers whose faults are known.
 */

#include "core/context.h"
#include "core/state.h"
#include "model/repository/repository.h"

/*
 * Judges a repository that has a signed index. ERROR_INTEGRITY for a serial below
 * the highest that this guest has seen of the key, or below driver.index_min_serial, and
 * for an index past its `expires`, where the clock is known to be right. A serial that
 * rises is saved at once, whatever else comes of the run; `plan` and what changes nothing
 * of the system keep it in memory.
 */
must_check int freshness_judge(const struct context *ctx,
			       const struct repository *repository, struct state *state,
			       struct error *err);
