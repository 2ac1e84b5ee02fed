/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Asks nvidia-smi for the license of every GPU.
 */

#include "base/root.h"
#include "base/run.h"
#include "model/license/license.h"

/*
 * One `nvidia-smi -q`, ended after `timeout_s`. ERROR_DRIVER when it is not there, hangs,
 * fails or prints half a report.
 */
must_check int poll_smi(struct runner *runner, const struct root *root,
			unsigned timeout_s, struct license_report *ret_report,
			struct error *err);

struct poll_wait {
	unsigned wait_s; /* for all of it */
	int feature_type;
	size_t expected;   /* GPUs on the PCI bus: one that the driver does not show is
			      ERROR_DRIVER */
	double interval_s; /* before the second look; 0: 0.25 */
	void (*each)(void *context, const struct license_report *report, double seconds);
	void *context;
};

/*
 * Asks at growing intervals (0.25 s to 5 s) until every GPU that needs a license has one.
 * ERROR_UNLICENSED at the end of the time; `ret_report` then holds the last report.
 */
must_check int poll_until_licensed(struct runner *runner, const struct root *root,
				   const struct poll_wait *wait,
				   struct license_report *ret_report, struct error *err);
