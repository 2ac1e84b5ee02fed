/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The change of the driver itself. It is finished or undone, whatever happens: before the
 * package's installer removes the old driver, state.json names the new one and its
 * package lies in the state folder; only when nvidia-smi has answered does the new one
 * become the state's `driver`. What a run that was cut off has left is taken up by the
 * next one (choose_cut_off()).
 */

#include "core/lease.h"
#include "core/state.h"
#include "driver/work.h"
#include "model/outcome.h"
#include "model/repository/repository.h"

/* What a replacement works on, besides the driver. */
struct replace {
	const struct context *ctx;
	struct state *state;           /* the record: saved before and after each act */
	struct repository *repository; /* may spare the way back its compile */
	struct lease *lease;           /* told what the license's daemon must know */
};

/*
 * The step `install`. Puts work->driver and the modules built for the targets in place
 * and proves that they work; where a driver is installed and stays, only what is missing.
 * Where that fails, the driver that was there is put back at once from its own package,
 * and the hint says so. ERROR_INSTALL, before any change, where a package manager's
 * driver is in the way; ERROR_PREREQUISITES where there is no room.
 */
must_check int replace_driver(const struct replace *replace, struct work *work,
			      struct outcome *outcome, struct error *err);

/*
 * After `error` in what an earlier run had left to finish, before its installation began.
 * Where another try would end no better, the next run does not make it: it puts the old
 * driver back, and where that is what failed it decides anew. A driver that does not work
 * does not wait in DKMS for the next kernel.
 */
void replace_abandon(const struct replace *replace, const struct work *work,
		     const struct error *error);
