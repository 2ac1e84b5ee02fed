/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A new client configuration token on a licensed guest is on trial until it licenses: the
 * one before is kept and comes back where it does not, also after a run that was killed.
 */

#include "core/guest.h"
#include "model/license/license.h"

/*
 * Before the token `fd` replaces another one, with which the guest is licensed: keeps
 * that. Only in jobs that wait for the license afterwards.
 */
must_check int token_trial_begin(const struct context *ctx, const struct guest *guest,
				 int fd, struct error *err);

/* Whether this token was on trial already, without success, and a better one is
 * installed. */
bool token_trial_refuses(const struct context *ctx, int fd);

/*
 * After `err`, the end of a wait for the license in vain: puts back what
 * token_trial_begin() kept, restarts the daemon, waits for its license, and says so in
 * `err`. Nothing where no token is on trial. `ret_report` is the last look.
 */
void token_trial_undo(const struct context *ctx, const struct guest *guest,
		      struct license_report *ret_report, struct error *err);
