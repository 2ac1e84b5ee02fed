/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The CUDA driver API, from the library that is opened at run time: the only file that
 * knows its symbols.
 */

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The driver API as its documentation gives it ("CUDA Driver API"): handles are pointers,
 * device addresses 64 bits, results ints with 0 for success. The _v2 names are the ABI
 * since CUDA 4.0.
 */
typedef int cuda_result; /* CUresult */

struct cuda_api {
	void *library;
	cuda_result (*cuInit)(unsigned flags);
	cuda_result (*cuGetErrorName)(cuda_result error, const char **name);
	cuda_result (*cuDeviceGetCount)(int *count);
	cuda_result (*cuDeviceGet)(int *device, int ordinal);
	cuda_result (*cuDeviceGetName)(char *name, int size, int device);
	cuda_result (*cuDeviceGetUuid)(unsigned char uuid[16], int device);
	cuda_result (*cuDeviceTotalMem_v2)(size_t *bytes, int device);
	cuda_result (*cuDeviceGetAttribute)(int *value, int attribute, int device);
	cuda_result (*cuCtxCreate_v2)(void **context, unsigned flags, int device);
	cuda_result (*cuCtxDestroy_v2)(void *context);
	cuda_result (*cuModuleLoadData)(void **module, const void *image);
	cuda_result (*cuModuleGetFunction)(void **function, void *module,
					   const char *name);
	cuda_result (*cuMemAlloc_v2)(uint64_t *address, size_t size);
	cuda_result (*cuMemcpyHtoD_v2)(uint64_t to, const void *from, size_t size);
	cuda_result (*cuMemcpyDtoH_v2)(void *to, uint64_t from, size_t size);
	cuda_result (*cuMemcpyDtoDAsync_v2)(uint64_t to, uint64_t from, size_t size,
					    void *stream);
	cuda_result (*cuMemsetD32_v2)(uint64_t to, unsigned value, size_t count);
	cuda_result (*cuLaunchKernel)(void *function, unsigned grid_x, unsigned grid_y,
				      unsigned grid_z, unsigned block_x, unsigned block_y,
				      unsigned block_z, unsigned shared, void *stream,
				      void **arguments, void **extra);
	cuda_result (*cuStreamCreate)(void **stream, unsigned flags);
	cuda_result (*cuEventCreate)(void **event, unsigned flags);
	cuda_result (*cuEventRecord)(void *event, void *stream);
	cuda_result (*cuEventSynchronize)(void *event);
	cuda_result (*cuEventElapsedTime)(float *milliseconds, void *from, void *to);
	/* Not of every driver: where one is missing, cuGraphLaunch is NULL. */
	cuda_result (*cuStreamBeginCapture_v2)(void *stream, int mode);
	cuda_result (*cuStreamEndCapture)(void *stream, void **graph);
	cuda_result (*cuGraphInstantiateWithFlags)(void **exec, void *graph,
						   unsigned long long flags);
	cuda_result (*cuGraphLaunch)(void *exec, void *stream);
	cuda_result (*cuGraphExecDestroy)(void *exec);
	cuda_result (*cuGraphDestroy)(void *graph);
};

/*
 * Opens `library` (NULL: the system's libcuda.so.1) and starts CUDA. ERROR_DRIVER where
 * it is not there, lacks a function that the first driver for vGPU had, or does not
 * start. Close it in either case.
 */
must_check int cuda_api_open(const char *library, struct cuda_api *api,
			     struct error *err);
void cuda_api_close(struct cuda_api *api);

/* 0 for success, else ERROR_DRIVER with `what` was done and the error's name. */
must_check int cuda_api_check(const struct cuda_api *api, cuda_result result,
			      const char *what, struct error *err);
