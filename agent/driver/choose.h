/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which driver this guest is to have: what is installed, what the repository has, and the
 * rules of model/driver/match.h, brought together.
 */

#include "core/state.h"
#include "driver/work.h"
#include "model/repository/repository.h"
#include "steps/detect/obstacle.h"

/*
 * Fills work->match and work->driver, and marks the targets that have it already. The
 * rules are asked once, and once more where only the repository can tell; it is then read
 * into `repository`. With `look_further` it is asked even where an installed driver fits.
 * A repository that cannot be reached is only an error where it is needed, else a warning
 * in work->match. A driver of others that does not fit is ERROR_INSTALL.
 */
must_check int choose_driver(const struct context *ctx, struct state *state,
			     struct repository *repository, bool look_further,
			     struct work *work, struct error *err);

/*
 * What a run that was cut off has left, where that decides what is to be done: the driver
 * that it was installing is finished, or the one before is put back. False: nothing. Else
 * `detail` says what.
 */
bool choose_cut_off(const struct context *ctx, const struct state *state,
		    struct work *work, char *detail, size_t size);

/*
 * For `install --previous`: work->driver becomes the driver before the one that is there,
 * from its kept package; where an update was cut off, the one on record. ERROR_NO_MATCH
 * where none is kept, or where its version does not fit the host.
 */
must_check int choose_previous(const struct context *ctx, const struct state *state,
			       struct work *work, char *detail, size_t size,
			       struct error *err);

/* The driver that choose_previous() would take, of the state; NULL: none is kept. */
const struct driver *choose_kept_previous(const struct context *ctx,
					  const struct state *state);

/* Reads what the repository has; none is set: 0, and `repository` stays as it is. */
must_check int choose_list(const struct context *ctx, struct state *state,
			   struct repository *repository, struct error *err);

/* What is asked before anything is fetched, by plan and by install alike. */
struct obstacle_input choose_obstacles(const struct context *ctx,
				       const struct state *state,
				       const struct work *work);

/* Which packages lead back from a driver that is there is what a lost state held. */
must_check int choose_refuse_lost(const struct context *ctx, const struct state *state,
				  struct error *err);

/* What would make the installation fail in the end; where nothing is to be done: 0. */
must_check int choose_refuse_obstacles(const struct context *ctx,
				       const struct state *state, const struct work *work,
				       struct error *err);

/* The package kind that this system's own package manager installs. */
enum package_kind choose_os_kind(const struct os *os);
