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

	const char *agent_version; /* NULL: not told */
	size_t gpus;               /* on the PCI bus */
	const char *reason;        /* the code of why there is no license; NULL: none */
	int64_t token_expires;     /* 0: not known */

	/* How the last run ended; the rest only with `run_at`, in seconds since 1970. */
	int64_t run_at;
	int run_status;
	const char *run_step, *run_name; /* the step that failed, "" for none; "ok" */
	const char *repository;          /* its host, "" or NULL: none */
};

/*
 * The text, which the caller frees; NULL when memory is out. A GPU that needs no license
 * has no line of a license, so that nobody counts it as unlicensed.
 */
char *metrics_print(const struct metrics *metrics);
