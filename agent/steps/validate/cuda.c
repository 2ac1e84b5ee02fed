/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/validate/cuda.h"

#include <errno.h>
#include <string.h>

#include "base/text.h"
#include "steps/validate/cuda_time.h"

#define THROTTLED_SHARE 0.1

/* CUdevice_attribute */
enum {
	ATTRIBUTE_MULTIPROCESSORS = 16,
	ATTRIBUTE_MEMORY_CLOCK_KHZ = 36,
	ATTRIBUTE_MEMORY_WIDTH_BITS = 37,
	ATTRIBUTE_MAJOR = 75,
	ATTRIBUTE_MINOR = 76,
};

/* `small_most`: as measured on an H100, by scripts/bench-validate. */
const struct cuda_suite cuda_suite_own = {
	.ptx = NULL, /* cuda_kernels: another file's address is no constant here */
	.kernels = { { "copy", true, { "copy", 0, 0, 256, 1 }, 0, { 0 } },
		     { "naive",
		       false,
		       { "naive", 32, 32, 256, 1 },
		       256,
		       { "naive_small", 16, 16, 16, 16 } },
		     { "coalesced",
		       false,
		       { "coalesced", 64, 16, 256, 1 },
		       512,
		       { "coalesced_small", 16, 16, 16, 16 } },
		     { "optimized",
		       false,
		       { "optimized", 32, 32, 256, 1 },
		       320,
		       { "optimized_small", 16, 16, 16, 16 } },
		     { "best", false, { "best", 64, 64, 256, 1 }, 0, { 0 } } },
};

static int look_at_device(const struct cuda_api *api, int handle,
			  struct cuda_device *device, struct error *err)
{
	unsigned char id[16];
	int clock_khz = 0, width = 0;

	if (cuda_api_check(
		    api,
		    api->cuDeviceGetName(device->name, sizeof(device->name) - 1, handle),
		    "asking for the device's name", err) < 0 ||
	    cuda_api_check(api, api->cuDeviceGetUuid(id, handle), "asking for its UUID",
			   err) < 0 ||
	    cuda_api_check(api, api->cuDeviceTotalMem_v2(&device->memory, handle),
			   "asking for its memory", err) < 0 ||
	    cuda_api_check(api,
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

static void bench_done(struct cuda_bench *bench)
{
	/* The memory, the module and the events go with their context. */
	if (bench->context)
		(void)bench->api->cuCtxDestroy_v2(bench->context);
	free(bench->host);
}

/*
 * Context, module, stream and memory of one device, in the order in which they need each
 * other. bench_done() frees all by destroying the context.
 */
static int bench_begin(struct cuda_bench *bench, int handle, struct error *err)
{
	const struct cuda_api *api = bench->api;

	bench->bytes = (size_t)bench->size * bench->size * sizeof(float);
	bench->host = malloc(bench->bytes);
	if (!bench->host)
		return error_set_errno(err, ENOMEM, "making the matrix");

	if (cuda_api_check(api, api->cuCtxCreate_v2(&bench->context, 0, handle),
			   "opening the device", err) < 0 ||
	    cuda_api_check(api,
			   api->cuModuleLoadData(&bench->module,
						 bench->suite->ptx ? bench->suite->ptx
								   : cuda_kernels),
			   "compiling the kernels", err) < 0 ||
	    cuda_api_check(api, api->cuStreamCreate(&bench->stream, 0), "making a stream",
			   err) < 0 ||
	    cuda_api_check(api, api->cuEventCreate(&bench->begin, 0), "making a clock",
			   err) < 0 ||
	    cuda_api_check(api, api->cuEventCreate(&bench->end, 0), "making a clock",
			   err) < 0 ||
	    cuda_api_check(api, api->cuMemAlloc_v2(&bench->in, bench->bytes),
			   "taking memory of the GPU", err) < 0 ||
	    cuda_api_check(api, api->cuMemAlloc_v2(&bench->out, bench->bytes),
			   "taking memory of the GPU", err) < 0)
		return -1;

	/* Every element is another number; as bits, so that no float is a NaN's quiet
	 * twin. */
	for (size_t i = 0; i < bench->bytes / sizeof(uint32_t); i++)
		bench->host[i] = (uint32_t)i;
	return cuda_api_check(api,
			      api->cuMemcpyHtoD_v2(bench->in, bench->host, bench->bytes),
			      "copying to the GPU", err);
}

static int is_correct(struct cuda_bench *bench, bool copies, bool *ret_correct,
		      struct error *err)
{
	unsigned size = bench->size;

	if (cuda_api_check(
		    bench->api,
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
static int measure(struct cuda_bench *bench, const struct cuda_kernel *kernel,
		   struct cuda_measure *ret_measure, struct error *err)
{
	struct cuda_measure found = { .name = kernel ? kernel->name : "device copy" };
	const struct cuda_api *api = bench->api;

	if (cuda_api_check(api, api->cuMemsetD32_v2(bench->out, 0, bench->bytes / 4),
			   "clearing the result", err) < 0 ||
	    cuda_time(bench, kernel, &found.seconds, err) < 0 ||
	    is_correct(bench, !kernel || kernel->copies, &found.correct, err) < 0)
		return -1;
	found.gb_per_second =
		found.seconds > 0 ? 2.0 * (double)bench->bytes / found.seconds / 1e9 : 0;
	*ret_measure = found;
	return 0;
}

static int validate_device(const struct cuda_api *api, int ordinal,
			   const struct cuda_options *options, struct cuda_device *device,
			   struct error *err)
{
	cleanup(bench_done) struct cuda_bench bench = { .api = api,
							.suite = options->suite,
							.size = options->size };
	int handle;

	if (cuda_api_check(api, api->cuDeviceGet(&handle, ordinal), "finding the device",
			   err) < 0 ||
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

static int judge_report(const struct cuda_report *report, struct error *err)
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
	cleanup(cuda_api_close) struct cuda_api api = { .library = NULL };
	cleanup(cuda_report_done) struct cuda_report report = { .size = options->size };
	unsigned size = options->size;
	int count = 0, result;

	if (size == 0 || size % CUDA_SIZE_STEP || size > CUDA_SIZE_MAX)
		return error_set(err, ERROR_USAGE,
				 "the matrix's side must be a multiple of %d up to %d",
				 CUDA_SIZE_STEP, CUDA_SIZE_MAX);
	if (cuda_api_open(options->library, &api, err) < 0 ||
	    cuda_api_check(&api, api.cuDeviceGetCount(&count), "counting the devices",
			   err) < 0)
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

	result = judge_report(&report, err);
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
