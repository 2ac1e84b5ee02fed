/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What the rest of the guest may know of the license: status.json, the file `licensed`
 * and the target that workloads wait for.
 */

#include "core/context.h"
#include "doctor/reason.h"
#include "model/license/license.h"

/*
 * The contract's `status` object of a report (NULL: the driver is silent), with the
 * reason where something explains it; of `gpus` GPUs on the PCI bus. `memory` is
 * reason_find()'s. -1: no memory.
 */
must_check int publish_status(const struct context *ctx, size_t gpus,
			      const struct license_report *report,
			      struct reason_memory *memory, struct json **ret_status,
			      bool *ret_licensed);

/*
 * After a `run` that came to an end, well or not: all of it, as it is now. A run that
 * failed before it looked at the license looks only where there was one. What cannot be
 * told is a warning: the work counts.
 */
void publish_license(const struct context *ctx, size_t gpus,
		     struct license_report *report);
