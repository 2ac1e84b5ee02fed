/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What one command has found out and done on the way to the license.
 */

#include <stdbool.h>
#include <stdint.h>

#include "model/license/license.h"

struct lease {
	int token_fd;           /* of `token check FILE` and `install FILE`, -1: none */
	const char *token_path; /* as it was typed */
	int64_t token_expires;  /* of the token that was judged, 0: not known */
	bool units_changed;     /* systemd must read its units again */
	bool loaded;    /* the driver, by this run: a daemon older than that saw no GPU */
	bool restarted; /* the daemon, by this run: what was seen before is old */
	struct license_report report; /* of the last look at the driver; count 0: none */
};

#define LEASE_INIT ((struct lease){ .token_fd = -1 })
