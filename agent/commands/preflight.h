/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The preflight checks of `plan`: looks, no changes.
 */

#include "base/json.h"
#include "core/guest.h"
#include "core/lease.h"
#include "core/state.h"
#include "driver/work.h"
#include "model/repository/repository.h"
#include "steps/fetch/metadata.h"

/* What is checked: a run as it would be. */
struct preflight {
	const struct context *ctx;
	const struct guest *guest;
	const struct state *state;
	const struct repository *repository;
	const struct work *work;
	const struct metadata *metadata;
	const struct lease *lease;
};

/*
 * The plan's "checks", an array; NULL: no memory. `match` is the choice's error, NULL
 * where there was none. `ret_would_fail` is the status of the first check that a run
 * would die of.
 */
struct json *command_preflight(const struct preflight *of, const struct error *match,
			       enum error_code *ret_would_fail);
