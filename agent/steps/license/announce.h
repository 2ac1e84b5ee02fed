/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Tells the rest of the guest whether it is licensed: two files in /run, and a target
 * that systemd reaches exactly while it is. The files' folder belongs to the monitor's
 * user: root writes there with that user's rights alone.
 */

#include "base/json.h"
#include "base/root.h"
#include "base/run.h"

#define ANNOUNCE_TARGET "vgpu-licensed.target"

/*
 * Writes `status` (the contract's object) where everybody can read it, then makes the
 * file PATHS_LICENSED and starts the target where it is not `reached`, or removes the
 * one and stops the other.
 */
must_check int announce_license(struct runner *runner, const struct root *root,
				const struct json *status, bool licensed, bool reached,
				struct error *err);

/* No status any more: the files go and the target is stopped. Nothing there is fine. */
must_check int announce_nothing(struct runner *runner, const struct root *root,
				struct error *err);

/*
 * While the driver is being replaced PATHS_CHANGING is there: the monitor then lets go
 * of it. Failures are none: then it may take a reboot.
 */
void announce_change(const struct root *root, bool begins);

/*
 * Whether it is being replaced now: the mark names the process that made it, and dies
 * with that one, however it ends and whatever the clock says.
 */
bool announce_is_changing(const struct root *root);

/* Whether PATHS_LICENSED is there. */
bool announce_is_licensed(const struct root *root);

/*
 * The files alone, where `status` says something new besides its time: for the monitor,
 * which may not ask systemd for anything. vgpu-licensed.path moves the target after it.
 */
must_check int announce_files(const struct root *root, const struct json *status,
			      bool licensed, bool *ret_changed, struct error *err);
