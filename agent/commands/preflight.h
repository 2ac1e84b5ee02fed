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
 * where there was none. `ret_failure` is what a run would die of, by the first check that
 * says so: its code (ERROR_NONE: nothing), and a hint where there is one.
 */
struct json *command_preflight(const struct preflight *of, const struct error *match,
			       struct error *ret_failure);
