/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long something may take, in time that passed while we ran: a guest that was paused,
 * a process that was stopped or got no processor, has missed no deadline.
 */

#include <stdbool.h>

struct deadline {
	double left; /* seconds of it */
	double seen; /* when that was last counted, by clock_monotonic() */
};

struct deadline deadline_in(double seconds);

/* For poll(2): until it passes, and a second at most, so that a pause is noticed. */
int deadline_poll_ms(const struct deadline *deadline);

/*
 * Counts the time since the last call, which must come after each poll. Look for what is
 * waited for before this: what has happened has happened, whatever the clock says.
 */
bool deadline_passed(struct deadline *deadline);
