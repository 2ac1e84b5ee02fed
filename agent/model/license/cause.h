/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Why there is no license, as nvidia-gridd's journal words it. Texts: public logs.
 */

#include <stdbool.h>

#include "base/span.h"
#include "model/license/license.h"

/*
 * Reads the daemon's lines of one start, oldest first: call for each; the last telling
 * line decides, a later "License acquired" clears it. "Started (" begins anew.
 */
void cause_read_line(struct span line, struct license_reason *reason);

/* The time until which a license was given, of "License acquired" and "renewed" lines. */
bool cause_read_expiry(struct span line, int64_t *ret_expiry);
