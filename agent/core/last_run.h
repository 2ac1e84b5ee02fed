/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How the last `run` since the boot ended, in a file of /run that everyone may read: a
 * run that had nothing to do changes no file elsewhere, and who watches a fleet asks when
 * it was all the same. It also holds what only root could find out.
 */

#include "core/guest.h"
#include "model/license/metrics.h"

/*
 * After a run that found a GPU and ended with `result` and `error`. `token_expires` 0:
 * not known. What cannot be written is a warning: the work counts.
 */
void last_run_write(const struct context *ctx, const struct guest *guest,
		    int64_t token_expires, int result, const struct error *error);

/*
 * A service whose run ended with what no waiting mends is not to be started again by its
 * timer: PATHS_FINAL then names this start of it, by which vgpu-guest-agent.service knows
 * that its own run is meant. Nothing where no service runs us.
 */
void last_run_say_final(const struct root *root, const struct error *error);

/* What last_run_write() left; NULL where no run has ended since the boot. */
struct json *last_run_read(const struct root *root);

/*
 * The key "run" of the status: step, name, status, message and hint, without the time, so
 * that the file says nothing new while nothing is new. Takes `run`, which may be NULL.
 * -1: no memory.
 */
must_check int last_run_add(struct json *status, struct json *run);

/* What the samples say of it. `metrics` keeps texts of `run`, which must outlive it. */
void last_run_tell(const struct json *run, struct metrics *metrics);
