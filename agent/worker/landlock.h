/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Landlock: which files this process may open, which ports it may connect to. What it
 * may not: write, make, remove or execute any file, bind a port, and, from ABI 6 on,
 * signal or connect to what is outside of it. Open descriptors stay as they are.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define LANDLOCK_ABI_PORTS 4 /* from which ports can be refused */

/*
 * `online`: may read what TLS and the resolver need, and connect to `ports`; else the
 * libraries alone. `ret_abi` is 0 where the kernel has no Landlock or it is switched off.
 */
must_check int landlock_enter(bool online, const uint16_t *ports, size_t port_count,
			      int *ret_abi, struct error *err);
