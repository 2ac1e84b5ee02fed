/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The report of `nvidia-smi -q`, any driver generation, and its error texts.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/span.h"
#include "model/license/license.h"

/*
 * Reads a report. ERROR_DRIVER with the report's own words when it holds no GPU
 * (not loaded, version mismatch, "No devices were found") or stops in the middle: fewer
 * GPU sections than "Attached GPUs" promises, or a last GPU without its license section's
 * end being certain.
 */
must_check int smi_parse(struct span report, struct license_report *ret_report,
			 struct error *err);

/*
 * The first error line in the output, which may stand before, behind or instead of a
 * report; false when there is none.
 */
bool smi_complaint(struct span report, char *ret_text, size_t size);
