/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * How long a kernel takes, without the time that launching it takes: the part of
 * steps/validate/cuda.c that holds the clock.
 */

#include <stdint.h>

#include "steps/validate/cuda.h"
#include "steps/validate/cuda_api.h"

/* One device's work: two matrices in its memory, one of them also in ours. */
struct cuda_bench {
	const struct cuda_api *api;
	const struct cuda_suite *suite;
	void *context, *module, *stream, *begin, *end;
	uint64_t in, out;
	uint32_t *host;
	unsigned size;
	size_t bytes;
};

/* Seconds of one launch, the best of a few rounds. `kernel` NULL: the driver's own copy.
 */
must_check int cuda_time(struct cuda_bench *bench, const struct cuda_kernel *kernel,
			 double *ret_seconds, struct error *err);
