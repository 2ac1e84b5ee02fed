/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The kernel modules of the chosen driver, for every kernel that is to have it: taken
 * ready-made from the repository, or compiled. Nothing of the system's driver changes.
 */

#include "core/state.h"
#include "driver/work.h"
#include "model/outcome.h"
#include "model/repository/repository.h"

/*
 * Before anything is fetched: whether the modules that are to be taken or compiled could
 * be loaded, by what is known now. Errors of signing_check() and
 * modules_prebuilt_foresee().
 */
must_check int modules_foresee(const struct context *ctx,
			       const struct repository *repository,
			       const struct work *work, struct error *err);

/* Unpacks work->driver.path, a .run, to work->tree. */
must_check int modules_unpack(const struct context *ctx, struct work *work,
			      struct error *err);

/*
 * Fills `built` of every target that is not done; installs what a compile needs, if it
 * may. DKMS builds into its own folders. A package's modules are not made here: only what
 * its scripts need is. `repository` is read where nobody has asked it so far and that may
 * spare a compile.
 */
must_check int modules_build(const struct context *ctx, struct state *state,
			     struct repository *repository, struct work *work,
			     struct outcome *outcome, struct error *err);

/* After a failure: an unpacked driver is a gigabyte, and the next run unpacks it anew. */
void modules_discard(const struct context *ctx);
