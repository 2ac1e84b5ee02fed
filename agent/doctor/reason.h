/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why the guest is not licensed, from what a look costs nothing: nvidia-gridd's unit and
 * journal, gridd.conf and the token. The network is left to the doctor.
 */

#include "core/context.h"
#include "model/license/license.h"
#include "steps/license/gridd.h"

/* What the last look found, for who looks again and again. Zeroed: nothing. */
struct reason_memory {
	struct license_reason reason;
	struct gridd_state daemon; /* as it was then */
	double until;              /* monotonic; set it to 0 once anything has changed */
};

/*
 * Of a report that was just read. `ret_reason->code` is NULL where nothing explains it.
 * With `memory` (NULL: none) files and journal are read again only when the daemon's
 * state is another one, or when it has grown old.
 */
void reason_find(const struct context *ctx, const struct license_report *report,
		 struct reason_memory *memory, struct license_reason *ret_reason);
