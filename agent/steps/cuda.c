/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/cuda.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "base/text.h"

#define ROUNDS 3
#define LAUNCHES_MAX 100
#define ROUND_BYTES (1ull << 33) /* one round moves about so much: tens of ms at most */
#define THROTTLED_SHARE 0.1

/*
 * The driver API as its documentation gives it ("CUDA Driver API"): handles are pointers,
 * device addresses 64 bits, results ints with 0 for success. The _v2 names are the ABI
 * since CUDA 4.0.
 */
typedef int cuda_result; /* CUresult */

struct api {
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
	cuda_result (*cuEventCreate)(void **event, unsigned flags);
	cuda_result (*cuEventRecord)(void *event, void *stream);
	cuda_result (*cuEventSynchronize)(void *event);
	cuda_result (*cuEventElapsedTime)(float *milliseconds, void *from, void *to);
};

/* CUdevice_attribute */
enum {
	ATTRIBUTE_MULTIPROCESSORS = 16,
	ATTRIBUTE_MEMORY_CLOCK_KHZ = 36,
	ATTRIBUTE_MEMORY_WIDTH_BITS = 37,
	ATTRIBUTE_MAJOR = 75,
	ATTRIBUTE_MINOR = 76,
};

const struct cuda_suite cuda_suite_own = {
	.ptx = NULL, /* cuda_kernels: another file's address is no constant here */
	.kernels = { { "copy", 0, 0, 256, 1, true },
		     { "naive", 32, 32, 256, 1, false },
		     { "coalesced", 64, 16, 256, 1, false },
		     { "optimized", 32, 32, 256, 1, false },
		     { "best", 64, 64, 256, 1, false } },
};

/* One device's work: two matrices there, one of them here. */
struct bench {
	const struct api *api;
	const struct cuda_suite *suite;
	void *context, *module, *begin, *end;
	uint64_t in, out;
	uint32_t *host;
	unsigned size;
	size_t bytes;
};

static int check(const struct api *api, cuda_result result, const char *what,
		 struct error *err)
{
	const char *name = NULL;

	if (result == 0)
		return 0;
	if (api->cuGetErrorName(result, &name) != 0 || !name)
		name = "unknown error";
	(void)error_set(err, ERROR_DRIVER, "%s: %.64s (%d)", what, name, result);
	return error_hint(err,
			  "nvidia-smi and the kernel's log say more: dmesg | grep -i "
			  "-e NVRM -e Xid");
}

static void api_close(struct api *api)
{
	if (api->library)
		(void)dlclose(api->library);
}

static int api_open(const char *library, struct api *api, struct error *err)
{
#define SYMBOL(symbol)                                \
	{                                             \
#		symbol, offsetof(struct api, symbol) \
	}
	static const struct {
		const char *name;
		size_t offset;
	} symbols[] = {
		SYMBOL(cuInit),
		SYMBOL(cuGetErrorName),
		SYMBOL(cuDeviceGetCount),
		SYMBOL(cuDeviceGet),
		SYMBOL(cuDeviceGetName),
		SYMBOL(cuDeviceGetUuid),
		SYMBOL(cuDeviceTotalMem_v2),
		SYMBOL(cuDeviceGetAttribute),
		SYMBOL(cuCtxCreate_v2),
		SYMBOL(cuCtxDestroy_v2),
		SYMBOL(cuModuleLoadData),
		SYMBOL(cuModuleGetFunction),
		SYMBOL(cuMemAlloc_v2),
		SYMBOL(cuMemcpyHtoD_v2),
		SYMBOL(cuMemcpyDtoH_v2),
		SYMBOL(cuMemcpyDtoDAsync_v2),
		SYMBOL(cuMemsetD32_v2),
		SYMBOL(cuLaunchKernel),
		SYMBOL(cuEventCreate),
		SYMBOL(cuEventRecord),
		SYMBOL(cuEventSynchronize),
		SYMBOL(cuEventElapsedTime),
	};
#undef SYMBOL

	api->library = dlopen(library ? library : "libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
	if (!api->library) {
		(void)error_set(err, ERROR_DRIVER, "the driver's CUDA library: %.200s",
				dlerror());
		return error_hint(err, "install the driver: vgpu-guest-agent run");
	}
	for (size_t i = 0; i < ARRAY_SIZE(symbols); i++) {
		void *found = dlsym(api->library, symbols[i].name);

		if (!found)
			return error_set(err, ERROR_DRIVER,
					 "the driver's CUDA library has no %s",
					 symbols[i].name);
		memcpy((char *)api + symbols[i].offset, &found, sizeof(found));
	}
	return check(api, api->cuInit(0), "starting CUDA", err);
}

static int look_at_device(const struct api *api, int handle, struct cuda_device *device,
			  struct error *err)
{
	unsigned char id[16];
	int clock_khz = 0, width = 0;

	if (check(api,
		  api->cuDeviceGetName(device->name, sizeof(device->name) - 1, handle),
		  "asking for the device's name", err) < 0 ||
	    check(api, api->cuDeviceGetUuid(id, handle), "asking for its UUID", err) <
		    0 ||
	    check(api, api->cuDeviceTotalMem_v2(&device->memory, handle),
		  "asking for its memory", err) < 0 ||
	    check(api,
		  api->cuDeviceGetAttribute(&device->multiprocessors,
					    ATTRIBUTE_MULTIPROCESSORS, handle),
		  "asking for its multiprocessors", err) < 0)
		return -1;
	text_sanitize(device->name);

	/* What is told or not told by a vGPU is no reason to fail. */
	if (api->cuDeviceGetAttribute(&device->major, ATTRIBUTE_MAJOR, handle) != 0 ||
	    api->cuDeviceGetAttribute(&device->minor, ATTRIBUTE_MINOR, handle) != 0)
		device->major = device->minor = 0;
	if (api->cuDeviceGetAttribute(&clock_khz, ATTRIBUTE_MEMORY_CLOCK_KHZ, handle) ==
		    0 &&
	    api->cuDeviceGetAttribute(&width, ATTRIBUTE_MEMORY_WIDTH_BITS, handle) == 0 &&
	    clock_khz > 0 && width > 0)
		device->peak_gb_per_second = 2.0 * clock_khz * (width / 8.0) / 1e6;

	/* A MIG instance is named after its profile: "NVIDIA H100L-1-12C MIG 1g.12gb". */
	device->mig = strstr(device->name, " MIG ") != NULL;
	(void)text_format(device->uuid, sizeof(device->uuid),
			  "%s-%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-"
			  "%02x%02x%02x%02x%02x%02x",
			  device->mig ? "MIG" : "GPU", id[0], id[1], id[2], id[3], id[4],
			  id[5], id[6], id[7], id[8], id[9], id[10], id[11], id[12],
			  id[13], id[14], id[15]);
	return 0;
}

static void bench_done(struct bench *bench)
{
	/* The memory, the module and the events go with their context. */
	if (bench->context)
		(void)bench->api->cuCtxDestroy_v2(bench->context);
	free(bench->host);
}

static int bench_begin(struct bench *bench, int handle, struct error *err)
{
	const struct api *api = bench->api;

	bench->bytes = (size_t)bench->size * bench->size * sizeof(float);
	bench->host = malloc(bench->bytes);
	if (!bench->host)
		return error_set_errno(err, ENOMEM, "making the matrix");

	if (check(api, api->cuCtxCreate_v2(&bench->context, 0, handle),
		  "opening the device", err) < 0 ||
	    check(api,
		  api->cuModuleLoadData(&bench->module, bench->suite->ptx
								? bench->suite->ptx
								: cuda_kernels),
		  "compiling the kernels", err) < 0 ||
	    check(api, api->cuEventCreate(&bench->begin, 0), "making a clock", err) < 0 ||
	    check(api, api->cuEventCreate(&bench->end, 0), "making a clock", err) < 0 ||
	    check(api, api->cuMemAlloc_v2(&bench->in, bench->bytes),
		  "taking memory of the GPU", err) < 0 ||
	    check(api, api->cuMemAlloc_v2(&bench->out, bench->bytes),
		  "taking memory of the GPU", err) < 0)
		return -1;

	/* Every element is another number; as bits, so that no float is a NaN's quiet
	 * twin. */
	for (size_t i = 0; i < bench->bytes / sizeof(uint32_t); i++)
		bench->host[i] = (uint32_t)i;
	return check(api, api->cuMemcpyHtoD_v2(bench->in, bench->host, bench->bytes),
		     "copying to the GPU", err);
}

static cuda_result launch(struct bench *bench, const struct cuda_kernel *kernel,
			  void *function)
{
	void *arguments[] = { &bench->out, &bench->in, &bench->size };
	unsigned size = bench->size;

	if (!kernel)
		return bench->api->cuMemcpyDtoDAsync_v2(bench->out, bench->in,
							bench->bytes, NULL);
	if (kernel->tile_x == 0)
		return bench->api->cuLaunchKernel(
			function, (unsigned)(bench->bytes / 16 / kernel->threads_x), 1, 1,
			kernel->threads_x, 1, 1, 0, NULL, arguments, NULL);
	return bench->api->cuLaunchKernel(function, size / kernel->tile_x,
					  size / kernel->tile_y, 1, kernel->threads_x,
					  kernel->threads_y, 1, 0, NULL, arguments, NULL);
}

/* Seconds of one launch; what is launched before the clock starts warms up. */
static int time_round(struct bench *bench, const struct cuda_kernel *kernel,
		      void *function, unsigned launches, double *ret_seconds,
		      struct error *err)
{
	const struct api *api = bench->api;
	float milliseconds = 0;
	cuda_result result = launch(bench, kernel, function);

	if (result == 0)
		result = api->cuEventRecord(bench->begin, NULL);
	for (unsigned i = 0; i < launches && result == 0; i++)
		result = launch(bench, kernel, function);
	if (result == 0)
		result = api->cuEventRecord(bench->end, NULL);
	if (result == 0)
		result = api->cuEventSynchronize(bench->end);
	if (result == 0)
		result = api->cuEventElapsedTime(&milliseconds, bench->begin, bench->end);
	*ret_seconds = milliseconds / 1e3 / launches;
	return check(api, result, kernel ? kernel->name : "device to device copy", err);
}

static int is_correct(struct bench *bench, bool copies, bool *ret_correct,
		      struct error *err)
{
	unsigned size = bench->size;

	if (check(bench->api,
		  bench->api->cuMemcpyDtoH_v2(bench->host, bench->out, bench->bytes),
		  "copying from the GPU", err) < 0)
		return -1;

	*ret_correct = true;
	for (unsigned y = 0; y < size; y++) {
		for (unsigned x = 0; x < size; x++) {
			uint32_t expected = copies ? y * size + x : x * size + y;

			if (bench->host[(size_t)y * size + x] != expected)
				*ret_correct = false;
		}
	}
	return 0;
}

/* `kernel` NULL: the driver's own copy. */
static int measure(struct bench *bench, const struct cuda_kernel *kernel,
		   struct cuda_measure *ret_measure, struct error *err)
{
	unsigned launches = (unsigned)(ROUND_BYTES / bench->bytes);
	struct cuda_measure found = { .name = kernel ? kernel->name : "device copy" };
	const struct api *api = bench->api;
	void *function = NULL;

	if (launches > LAUNCHES_MAX)
		launches = LAUNCHES_MAX;
	if (check(api, api->cuMemsetD32_v2(bench->out, 0, bench->bytes / 4),
		  "clearing the result", err) < 0 ||
	    (kernel &&
	     check(api, api->cuModuleGetFunction(&function, bench->module, kernel->name),
		   kernel->name, err) < 0))
		return -1;

	for (int round = 0; round < ROUNDS; round++) {
		double seconds;

		if (time_round(bench, kernel, function, launches, &seconds, err) < 0)
			return -1;
		if (round == 0 || seconds < found.seconds)
			found.seconds = seconds;
	}
	if (is_correct(bench, !kernel || kernel->copies, &found.correct, err) < 0)
		return -1;
	found.gb_per_second =
		found.seconds > 0 ? 2.0 * (double)bench->bytes / found.seconds / 1e9 : 0;
	*ret_measure = found;
	return 0;
}

static int validate_device(const struct api *api, int ordinal,
			   const struct cuda_options *options, struct cuda_device *device,
			   struct error *err)
{
	cleanup(bench_done) struct bench bench = { .api = api,
						   .suite = options->suite,
						   .size = options->size };
	int handle;

	if (check(api, api->cuDeviceGet(&handle, ordinal), "finding the device", err) <
		    0 ||
	    look_at_device(api, handle, device, err) < 0)
		return -1;
	if (bench_begin(&bench, handle, err) < 0 ||
	    measure(&bench, NULL, &device->device_copy, err) < 0)
		return error_prefix(err, "%s", device->name);
	for (size_t i = 0; i < CUDA_KERNELS && options->suite->kernels[i].name; i++) {
		if (measure(&bench, &options->suite->kernels[i], &device->kernels[i],
			    err) < 0)
			return error_prefix(err, "%s", device->name);
	}
	return 0;
}

static int judge(const struct cuda_report *report, struct error *err)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct cuda_device *device = &report->devices[i];

		for (size_t k = 0; k < CUDA_KERNELS && device->kernels[k].name; k++) {
			if (device->kernels[k].correct)
				continue;
			(void)error_set(err, ERROR_DRIVER,
					"%s: the kernel %s computed wrongly",
					device->name, device->kernels[k].name);
			return error_hint(err, "do not trust this GPU's results; report "
					       "it to the cloud's operator");
		}
	}
	return 0;
}

int cuda_validate(const struct cuda_options *options, struct cuda_report *ret_report,
		  struct error *err)
{
	cleanup(api_close) struct api api = { .library = NULL };
	cleanup(cuda_report_done) struct cuda_report report = { .size = options->size };
	unsigned size = options->size;
	int count = 0, result;

	if (size == 0 || size % CUDA_SIZE_STEP || size > CUDA_SIZE_MAX)
		return error_set(err, ERROR_USAGE,
				 "the matrix's side must be a multiple of %d up to %d",
				 CUDA_SIZE_STEP, CUDA_SIZE_MAX);
	if (api_open(options->library, &api, err) < 0 ||
	    check(&api, api.cuDeviceGetCount(&count), "counting the devices", err) < 0)
		return -1;
	if (count < 1)
		return error_set(err, ERROR_DRIVER, "CUDA shows no device");

	report.devices = calloc(CUDA_DEVICES_MAX, sizeof(*report.devices));
	if (!report.devices)
		return error_set_errno(err, ENOMEM, "validating");
	for (int i = 0; i < count && i < CUDA_DEVICES_MAX; i++) {
		if (validate_device(&api, i, options, &report.devices[i], err) < 0)
			return -1;
		report.count++;
	}

	result = judge(&report, err);
	*ret_report = report;
	report.devices = NULL;
	return result;
}

void cuda_report_done(struct cuda_report *report)
{
	free(report->devices);
	report->devices = NULL;
}

bool cuda_looks_throttled(const struct cuda_device *device)
{
	return device->peak_gb_per_second > 0 &&
	       device->device_copy.gb_per_second <
		       THROTTLED_SHARE * device->peak_gb_per_second;
}
