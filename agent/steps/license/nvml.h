/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * NVIDIA's management library, opened at run time: what nvidia-smi itself asks, without
 * the cost of its start. The structures and names are those of NVIDIA's public nvml.h.
 * Only steps/license/nvml_child.c calls this: a crash or hang in the library costs no
 * more than a child.
 */

#include "base/error.h"
#include "model/license/license.h"

struct nvml; /* lives as long as its process */

/* ERROR_DRIVER where the library, one of its functions or the driver is not there. */
must_check int nvml_load(const char *library, struct nvml **ret_nvml, struct error *err);

/*
 * The license of every GPU, in the words of `nvidia-smi -q`. `ret_exact` is false where
 * nvidia-smi may say more: the library does not tell the kinds of "Unlicensed" apart, nor
 * what is meant where a passed-through GPU has no license. ERROR_DRIVER where an answer
 * is missing or makes no sense.
 */
must_check int nvml_read(struct nvml *nvml, struct license_report *ret_report,
			 bool *ret_exact, struct error *err);
