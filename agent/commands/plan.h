/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the plan shares with others.
 */

#include "base/json.h"
#include "core/guest.h"

/* The contract's `detect` object; NULL: no memory. */
struct json *command_plan_guest(const struct guest *guest);
