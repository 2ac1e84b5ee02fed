/* SPDX-License-Identifier: Apache-2.0 */
#include "base/deadline.h"

#include "base/clock.h"

#define LOOK_S 1.0
#define SLACK_S 1.0 /* a busy machine is no pause */

struct deadline deadline_in(double seconds)
{
	return (struct deadline){ .left = seconds, .seen = clock_monotonic() };
}

int deadline_poll_ms(const struct deadline *deadline)
{
	double wait = deadline->left < LOOK_S ? deadline->left : LOOK_S;

	/* Rounded up, so that a poll does not spin before it. */
	return wait <= 0 ? 0 : (int)(wait * 1000) + 1;
}

bool deadline_passed(struct deadline *deadline)
{
	double now = clock_monotonic(), passed = now - deadline->seen;

	deadline->seen = now;
	deadline->left -= passed > LOOK_S + SLACK_S ? LOOK_S : passed;
	return deadline->left <= 0;
}
