/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What made a run as long as it was.
 */

#include "base/json.h"
#include "core/pipeline.h"

/*
 * The names of what the run waited for, in order: its steps, but "toolchain" instead of
 * those that only passed the time until the compiler was there. NULL: no memory.
 */
struct json *critical_names(const struct pipeline_report *report);

/* [{"work":"toolchain","step":"build","began":f,"seconds":f,"waited":f}], or []. */
struct json *critical_beside(const struct pipeline_report *report);
