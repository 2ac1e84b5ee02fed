/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * One look at the licenses, through NVML or by nvidia-smi (monitor.backend). NVML pays
 * only where it is kept open, and is believed only where it leaves no doubt.
 */

#include "base/root.h"
#include "base/run.h"
#include "steps/license/nvml_child.h"

struct query {
	const char *library;      /* of NVML */
	bool stays;               /* more looks follow: "auto" then means NVML first */
	struct nvml_child nvml;   /* open from the first look on */
	double nvml_after;        /* its process died: not before this time, monotonic */
	unsigned by_nvml, by_smi; /* how often each has answered */
};

#define QUERY_INIT \
	((struct query){ .library = "libnvidia-ml.so.1", .nvml = NVML_CHILD_INIT })

/*
 * ERROR_DRIVER where the driver gives no answer. `backend` is auto, nvml or nvidia-smi;
 * auto asks nvidia-smi on any doubt of NVML's answer, nvml takes it as it is.
 */
must_check int query_license(struct query *query, const char *backend,
			     struct runner *runner, const struct root *root,
			     struct license_report *ret_report, struct error *err);

/* Lets go of NVML, which keeps the driver's modules in use. The next look opens it. */
void query_close(struct query *query);
