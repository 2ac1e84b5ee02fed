/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Which drivers this guest has compiled for which kernels, and what came of it: noted
 * after each compile, and told to the rules that choose a driver.
 */

#include "core/state.h"
#include "driver/work.h"
#include "model/driver/known.h"

/*
 * Notes in `state` what came of compiling work->driver for a target; `error` is NULL
 * where the modules were made. The record of the step build saves the state. Nothing is
 * noted on the way back, nor of an error that is not tried_for_good(). `err` is that of a
 * signal.
 */
must_check int tried_note(const struct context *ctx, struct state *state,
			  const struct work *work, const struct target *target,
			  const struct toolchain *toolchain, const struct error *error,
			  struct error *err);

/* Whether the same compile would end the same way later: what was killed may not. */
bool tried_for_good(const struct error *error);

/*
 * Forgets in `state` what another compiler than today's has made for a target of `work`.
 * Only a signal is an error: without a compiler the notes stay.
 */
must_check int tried_forget(const struct context *ctx, const struct work *work,
			    struct state *state, struct error *err);

/* What the rules get; borrows from all three. `installed`: a version, or "". */
struct known_input tried_known(const struct context *ctx, const struct work *work,
			       const struct state *state, const char *installed);

/* Whether `version`, whose file is not known, did not compile for the running kernel,
 * which has none of its modules. */
bool tried_dooms(const struct known_input *known, const struct work *work,
		 const char *version);
