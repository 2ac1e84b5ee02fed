/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The state of the licenses in Prometheus' text exposition format 0.0.4.
 */

#include <stdint.h>

#include "base/json.h"
#include "model/license/license.h"

struct metrics {
	const struct license_report *report; /* NULL: the driver does not answer */
	int feature_type;
	const char *host_version; /* "": not known */
	const struct json *steps; /* of the state: name -> {"seconds":...}; may be NULL */
	int64_t polled;           /* seconds since 1970 of the last poll */
	uint64_t poll_errors;     /* since this program's start */
};

/*
 * The text, which the caller frees; NULL when memory is out. A GPU that needs no license
 * has no line in it, so that nobody counts it as unlicensed.
 */
char *metrics_print(const struct metrics *metrics);
