/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/print.h"

#include <stdio.h>

static void print_measure(const struct json *measure, long elements)
{
	(void)printf("  %-12s  Throughput = %9.2f GB/s, Time = %9.5f ms, Size = %ld fp32 "
		     "elements%s\n",
		     json_get_words(measure, "name"),
		     json_get_real(measure, "gb_per_second", 0),
		     json_get_real(measure, "seconds", 0) * 1e3, elements,
		     json_get_bool(measure, "correct", false) ? "" : "  WRONG");
}

void print_validate(const struct json *report, const struct request *request)
{
	const struct json *devices = json_get(report, "devices");
	long size = (long)json_get_int(report, "size", 0);

	(void)request;
	for (size_t i = 0; i < json_count(devices); i++) {
		const struct json *device = json_at(devices, i);
		const struct json *kernels = json_get(device, "kernels");

		(void)printf("Device %zu: \"%s\"%s, compute capability %s, %lld "
			     "multiprocessors, %.1f GiB\n",
			     i, json_get_words(device, "name"),
			     json_get_bool(device, "mig", false) ? " (MIG instance)" : "",
			     json_get_words(device, "compute_capability"),
			     (long long)json_get_int(device, "multiprocessors", 0),
			     (double)json_get_int(device, "memory_bytes", 0) / (1 << 30));
		print_measure(json_get(device, "device_copy"), size * size);
		for (size_t k = 0; k < json_count(kernels); k++)
			print_measure(json_at(kernels, k), size * size);
		if (json_get_bool(device, "throttled", false))
			(void)puts(
				"  This looks throttled: less than a tenth of what the "
				"memory can do.\n  An unlicensed vGPU is slowed down: "
				"vgpu-guest-agent status");
	}
	if (json_get_bool(report, "valid", false))
		(void)puts("Test passed");
}
