/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The license daemon as a systemd unit, through D-Bus. The only room that includes
 * sd-bus.
 */

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/root.h"
#include "base/run.h"

struct gridd_state {
	bool exists; /* the unit is loaded from a file */
	bool enabled;
	bool masked; /* an administrator has forbidden the unit; it exists, too */
	bool active; /* active or activating */
	bool failed;
	int64_t started; /* microseconds since 1970 of the last start, 0: never */
	char detail[96]; /* "active (running)" */
};

/* Whether systemd has this unit and it is active; false where systemd cannot be asked. */
bool gridd_is_active(const char *unit);

must_check int gridd_look(struct gridd_state *ret_state, struct error *err);

/* Reload of systemd where unit files changed, enable, (re)start, wait for the job's end.
 */
must_check int gridd_restart(bool reload, unsigned timeout_s, int cancel_fd,
			     struct error *err);

/*
 * Stops the daemon, which then returns its license. `ret_changed`: it was active. A
 * system without systemd or without the unit has none to stop.
 */
must_check int gridd_stop(struct runner *runner, const struct root *root,
			  bool *ret_changed, struct error *err);
