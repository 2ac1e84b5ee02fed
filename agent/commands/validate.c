/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>

#include "steps/validate/cuda.h"

static struct json *measure_json(const struct cuda_measure *measure)
{
	return json_build("{s:s, s:f, s:f, s:b}", "name", measure->name, "seconds",
			  measure->seconds, "gb_per_second", measure->gb_per_second,
			  "correct", (int)measure->correct);
}

static struct json *kernels_json(const struct cuda_device *device)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < CUDA_KERNELS; i++) {
		if (json_append(list, measure_json(&device->kernels[i])) < 0)
			return NULL;
	}
	return take_ptr(list);
}

static struct json *device_json(const struct cuda_device *device)
{
	char capability[32];

	(void)snprintf(capability, sizeof(capability), "%d.%d", device->major,
		       device->minor);
	return json_build("{s:o, s:s, s:s, s:i, s:b, s:I, s:o, s:o, s:o, s:b}", "name",
			  json_words(device->name), "uuid", device->uuid,
			  "compute_capability", capability, "multiprocessors",
			  device->multiprocessors, "mig", (int)device->mig,
			  "memory_bytes", (int64_t)device->memory, "memory_gb_per_second",
			  device->peak_gb_per_second > 0
				  ? json_build("f", device->peak_gb_per_second)
				  : json_build("n"),
			  "device_copy", measure_json(&device->device_copy), "kernels",
			  kernels_json(device), "throttled",
			  (int)cuda_looks_throttled(device));
}

static struct json *report_json(const struct cuda_report *report, bool valid)
{
	cleanup_json struct json *list = json_build("[]");

	for (size_t i = 0; list && i < report->count; i++) {
		if (json_append(list, device_json(&report->devices[i])) < 0)
			return NULL;
	}
	return json_build("{s:i, s:b, s:i, s:O}", "schema", 1, "valid", (int)valid,
			  "size", (int)report->size, "devices", list);
}

int command_validate(struct agent *agent, const struct request *request,
		     struct json **ret_report, struct error *err)
{
	cleanup(cuda_report_done) struct cuda_report report = { .count = 0 };
	struct cuda_options options = { .size = request->size ? request->size
							      : CUDA_SIZE_DEFAULT,
					.suite = &cuda_suite_own };
	struct error found = ERROR_INIT, none = ERROR_INIT;
	int result;

	if (context_need_system(&agent->context, "validate runs on the GPU", err) < 0)
		return -1;

	result = cuda_validate(&options, &report, &found);
	if (report.count > 0) {
		*ret_report = report_json(&report, result == 0);
		if (!*ret_report)
			return error_set_errno(err, ENOMEM, "reporting the workload");
	}
	if (result == 0)
		return 0;
	/* Without a GPU no driver would help. */
	if (report.count == 0 && !found.interrupted &&
	    guest_look_gpus(&agent->context, &agent->guest, &none) == 0)
		(void)!guest_need_gpu(&agent->context, &agent->guest, &none);
	*err = none.code == ERROR_NO_GPU ? none : found;
	return -1;
}
