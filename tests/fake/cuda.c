/* SPDX-License-Identifier: Apache-2.0 */

/*
 * A library with the names of libcuda.so.1 whose one GPU is the processor: enough of it
 * for steps/validate/cuda.c, and bad manners on demand. Built as a module by
 * tests/CMakeLists.txt; the compiler's -D chooses the manners.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#ifndef FAKE_DEVICES
#	define FAKE_DEVICES 1
#endif
#ifndef FAKE_INIT
#	define FAKE_INIT 0
#endif

static double milliseconds;
static unsigned launches, recorded, captured_from, in_graph;
static int capturing;

int cuInit(unsigned flags);
int cuInit(unsigned flags)
{
	(void)flags;
	return FAKE_INIT;
}

int cuGetErrorName(int error, const char **name);
int cuGetErrorName(int error, const char **name)
{
	*name = error == 100 ? "CUDA_ERROR_NO_DEVICE" : "CUDA_ERROR_FAKE";
	return 0;
}

int cuDeviceGetCount(int *count);
int cuDeviceGetCount(int *count)
{
	*count = FAKE_DEVICES;
	return 0;
}

int cuDeviceGet(int *device, int ordinal);
int cuDeviceGet(int *device, int ordinal)
{
	*device = ordinal;
	return 0;
}

int cuDeviceGetName(char *name, int size, int device);
int cuDeviceGetName(char *name, int size, int device)
{
	(void)device;
	strncpy(name, "Fake GPU MIG 1g.12gb\n", (size_t)size);
	return 0;
}

int cuDeviceGetUuid(unsigned char uuid[16], int device);
int cuDeviceGetUuid(unsigned char uuid[16], int device)
{
	(void)device;
	memset(uuid, 0xab, 16);
	return 0;
}

int cuDeviceTotalMem_v2(size_t *bytes, int device);
int cuDeviceTotalMem_v2(size_t *bytes, int device)
{
	(void)device;
	*bytes = (size_t)1 << 30;
	return 0;
}

int cuDeviceGetAttribute(int *value, int attribute, int device);
int cuDeviceGetAttribute(int *value, int attribute, int device)
{
	(void)device;
	/* 2 * 1 GHz * 4096 bits: 1024 GB/s, which this GPU is far from. */
	*value = attribute == 36 ? 1000000 : attribute == 37 ? 4096 : 7;
	return 0;
}

int cuCtxCreate_v2(void **context, unsigned flags, int device);
int cuCtxCreate_v2(void **context, unsigned flags, int device)
{
	(void)flags;
	(void)device;
	*context = &milliseconds;
	return 0;
}

static void *taken[8];
static size_t taken_count;

int cuCtxDestroy_v2(void *context);
int cuCtxDestroy_v2(void *context)
{
	(void)context;
	while (taken_count > 0)
		free(taken[--taken_count]);
	return 0;
}

int cuModuleLoadData(void **module, const void *image);
int cuModuleLoadData(void **module, const void *image)
{
	*module = &milliseconds;
	return strstr(image, ".target sm_50") ? 0 : 218; /* CUDA_ERROR_INVALID_PTX */
}

int cuModuleGetFunction(void **function, void *module, const char *name);
int cuModuleGetFunction(void **function, void *module, const char *name)
{
	(void)module;
	memcpy(function, &name, sizeof(name));
	return 0;
}

int cuMemAlloc_v2(uint64_t *address, size_t size);
int cuMemAlloc_v2(uint64_t *address, size_t size)
{
	void *memory = calloc(1, size);

	if (!memory || taken_count == 8)
		return 2; /* CUDA_ERROR_OUT_OF_MEMORY */
	taken[taken_count++] = memory;
	*address = (uint64_t)(uintptr_t)memory;
	return 0;
}

static void *pointer(uint64_t address)
{
	void *found;

	memcpy(&found, &address, sizeof(found));
	return found;
}

int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size);
int cuMemcpyHtoD_v2(uint64_t to, const void *from, size_t size)
{
	memcpy(pointer(to), from, size);
	return 0;
}

int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size);
int cuMemcpyDtoH_v2(void *to, uint64_t from, size_t size)
{
	memcpy(to, pointer(from), size);
	return 0;
}

int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t size, void *stream);
int cuMemcpyDtoDAsync_v2(uint64_t to, uint64_t from, size_t size, void *stream)
{
	(void)stream;
	launches++;
	if (!capturing)
		memcpy(pointer(to), pointer(from), size);
	return 0;
}

int cuMemsetD32_v2(uint64_t to, unsigned value, size_t count);
int cuMemsetD32_v2(uint64_t to, unsigned value, size_t count)
{
	memset(pointer(to), (int)value, 4 * count);
	return 0;
}

int cuLaunchKernel(const char *function, unsigned grid_x, unsigned grid_y,
		   unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
		   unsigned shared, void *stream, void **arguments, void **extra);
int cuLaunchKernel(const char *function, unsigned grid_x, unsigned grid_y,
		   unsigned grid_z, unsigned block_x, unsigned block_y, unsigned block_z,
		   unsigned shared, void *stream, void **arguments, void **extra)
{
	uint32_t *out = pointer(*(uint64_t *)arguments[0]);
	const uint32_t *in = pointer(*(uint64_t *)arguments[1]);
	unsigned size = *(unsigned *)arguments[2];

	(void)grid_z;
	(void)block_z;
	(void)shared;
	(void)stream;
	(void)extra;
	if (grid_x == 0 || grid_y == 0 || block_x * block_y != 256)
		return 1; /* CUDA_ERROR_INVALID_VALUE */
	launches++;
	if (capturing)
		return 0;
	for (unsigned y = 0; y < size; y++) {
		for (unsigned x = 0; x < size; x++)
			out[(size_t)y * size + x] = strcmp(function, "copy") == 0
							    ? in[y * size + x]
							    : in[x * size + y];
	}
#ifdef FAKE_WRONG
	if (strncmp(function, "optimized", 9) == 0)
		out[(size_t)size * size - 1] ^= 1;
#endif
	return 0;
}

int cuStreamCreate(void **stream, unsigned flags);
int cuStreamCreate(void **stream, unsigned flags)
{
	(void)flags;
	*stream = &milliseconds;
	return 0;
}

#ifndef FAKE_EARLY
/* A graph is a number of launches: what they compute was computed by the one before. */
int cuStreamBeginCapture_v2(void *stream, int mode);
int cuStreamBeginCapture_v2(void *stream, int mode)
{
	(void)stream;
	(void)mode;
	capturing = 1;
	captured_from = launches;
	return 0;
}

int cuStreamEndCapture(void *stream, void **graph);
int cuStreamEndCapture(void *stream, void **graph)
{
	(void)stream;
	capturing = 0;
	in_graph = launches - captured_from;
	launches = captured_from;
	*graph = &in_graph;
	return 0;
}

int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags);
int cuGraphInstantiateWithFlags(void **exec, void *graph, unsigned long long flags)
{
	(void)flags;
	*exec = graph;
	return 0;
}

int cuGraphLaunch(void *exec, void *stream);
int cuGraphLaunch(void *exec, void *stream)
{
	(void)stream;
	launches += *(unsigned *)exec;
	return 0;
}

int cuGraphExecDestroy(void *exec);
int cuGraphExecDestroy(void *exec)
{
	(void)exec;
	return 0;
}

int cuGraphDestroy(void *graph);
int cuGraphDestroy(void *graph)
{
	(void)graph;
	return 0;
}
#endif

int cuEventCreate(void **event, unsigned flags);
int cuEventCreate(void **event, unsigned flags)
{
	(void)flags;
	*event = &milliseconds;
	return 0;
}

int cuEventRecord(void *event, void *stream);
int cuEventRecord(void *event, void *stream)
{
	(void)event;
	(void)stream;
	milliseconds = 0.04 * (launches - recorded);
	recorded = launches;
	return 0;
}

int cuEventSynchronize(void *event);
int cuEventSynchronize(void *event)
{
	(void)event;
	return 0;
}

#ifndef FAKE_OLD
int cuEventElapsedTime(float *ms, void *from, void *to);
int cuEventElapsedTime(float *ms, void *from, void *to)
{
	(void)from;
	(void)to;
	*ms = (float)milliseconds;
	return 0;
}
#endif
