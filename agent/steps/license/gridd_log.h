/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What nvidia-gridd wrote to the journal since its last start (sd-journal).
 */

#include <stdint.h>

#include "base/error.h"
#include "model/license/cause.h"

/*
 * `since`: microseconds since 1970, see struct gridd_state; the second before it counts
 * too. No journal is no error.
 */
must_check int gridd_log_read(int64_t since, struct license_reason *ret_reason,
			      struct error *err);

/* Until when the last license was given that it told of; 0: of none. */
must_check int gridd_log_expiry(int64_t since, int64_t *ret_expiry, struct error *err);

/* Follows what the daemon writes from now on. NULL: no journal, or no right to read it.
 */
struct gridd_log;
struct gridd_log *gridd_log_follow(void);
int gridd_log_fd(const struct gridd_log *log);  /* can be read when it may have written */
bool gridd_log_has_more(struct gridd_log *log); /* whether it wrote since the last call */
void gridd_log_close(struct gridd_log *log);
