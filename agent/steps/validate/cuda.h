/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * A GPU workload with a known answer: copies and transposes of a matrix, checked element
 * by element and timed. Needs nothing but the driver: libcuda.so.1 is opened at run time,
 * the kernels are PTX that it compiles.
 */

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CUDA_DEVICES_MAX 64
#define CUDA_KERNELS 5
#define CUDA_SIZE_STEP 64      /* a side is a multiple of this */
#define CUDA_SIZE_DEFAULT 1024 /* 4 MiB a matrix: fits the smallest vGPU */
#define CUDA_SIZE_MAX 32768

struct cuda_measure {
	const char *name;     /* "copy", "naive", ... */
	double seconds;       /* of one launch, the best of a few rounds */
	double gb_per_second; /* 10^9 bytes, read and written */
	bool correct;
};

struct cuda_device {
	char name[128];
	char uuid[48]; /* "GPU-..." or "MIG-..." */
	int major, minor;
	int multiprocessors;
	bool mig;                  /* an instance of a GPU that is divided */
	size_t memory;             /* bytes */
	double peak_gb_per_second; /* of its memory, by clock and width; 0: not told */
	struct cuda_measure device_copy; /* the driver's own, device to device */
	struct cuda_measure kernels[CUDA_KERNELS];
};

struct cuda_report {
	unsigned size; /* of the matrix's side */
	size_t count;
	struct cuda_device *devices;
};

/* How a kernel divides the matrix into blocks: launched as FUNCTION(out, in, size). */
struct cuda_shape {
	const char *function;
	unsigned tile_x, tile_y; /* of a block; 0: in a line, 16 bytes a thread */
	unsigned threads_x, threads_y;
};

struct cuda_kernel {
	const char *name;
	bool copies; /* instead of transposing */
	struct cuda_shape shape;
	unsigned small_most; /* up to this side `small` is faster; 0: never */
	struct cuda_shape small;
};

/* Kernels and their PTX; a bench may bring others than the program's own. */
struct cuda_suite {
	const char *ptx;
	struct cuda_kernel kernels[CUDA_KERNELS]; /* name NULL: no more */
};

extern const char *const cuda_kernels; /* PTX, steps/validate/cuda_kernels.c */
extern const struct cuda_suite cuda_suite_own;

struct cuda_options {
	const char *library; /* NULL: libcuda.so.1 of the system */
	unsigned size;       /* of the matrix's side */
	const struct cuda_suite *suite;
};

/*
 * Runs everything on every device that the driver shows. ERROR_DRIVER where there is no
 * library, no device, or a call fails; where a kernel computed wrongly the report is set
 * all the same, and -1 returned with ERROR_DRIVER. The caller frees the report with
 * cuda_report_done().
 */
must_check int cuda_validate(const struct cuda_options *options,
			     struct cuda_report *ret_report, struct error *err);
void cuda_report_done(struct cuda_report *report);

/* A device that reaches less than a tenth of what its memory could do looks throttled. */
bool cuda_looks_throttled(const struct cuda_device *device);
