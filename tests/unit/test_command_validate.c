/* wrap: cuda_validate */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <stdlib.h>
#include <string.h>

#include "steps/validate/cuda.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

/* A GPU's answer, instead of this machine's. */
static struct {
	size_t devices;
	bool wrong;
	unsigned size; /* that was asked for */
} gpu;

int __wrap_cuda_validate(const struct cuda_options *options,
			 struct cuda_report *ret_report, struct error *err);
int __wrap_cuda_validate(const struct cuda_options *options,
			 struct cuda_report *ret_report, struct error *err)
{
	gpu.size = options->size;
	*ret_report = (struct cuda_report){ .size = options->size };
	if (gpu.devices == 0)
		return error_set(err, ERROR_DRIVER, "no library");
	ret_report->devices = calloc(gpu.devices, sizeof(*ret_report->devices));
	assert_non_null(ret_report->devices);
	ret_report->count = gpu.devices;
	for (size_t i = 0; i < gpu.devices; i++) {
		struct cuda_device *device = &ret_report->devices[i];

		(void)strcpy(device->name, "NVIDIA L40S-2Q");
		(void)strcpy(device->uuid, "GPU-1");
		device->major = 8;
		device->minor = 9;
		device->memory = 2048;
		device->peak_gb_per_second = i ? 864 : 0;
		device->device_copy = (struct cuda_measure){ "copy", 1, 2, true };
		for (size_t k = 0; k < CUDA_KERNELS; k++)
			device->kernels[k] =
				(struct cuda_measure){ "naive", 1, 2, !gpu.wrong };
	}
	return gpu.wrong ? error_set(err, ERROR_DRIVER, "computed wrongly") : 0;
}

static struct request request;

static void every_device_is_in_the_report(void **state)
{
	struct agent *agent = agent_stage(*state, &request.options);

	for (unsigned wrong = 0; wrong < 2; wrong++) {
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		const struct json *first, *second;

		gpu.devices = 2;
		gpu.wrong = wrong;
		assert_int_equal(command_validate(agent, &request, &report, &err),
				 wrong ? -1 : 0);

		assert_int_equal(err.code, wrong ? ERROR_DRIVER : ERROR_NONE);
		assert_int_equal(json_get_bool(report, "valid", wrong), !wrong);
		assert_int_equal(json_count(json_get(report, "devices")), 2);
		first = json_at(json_get(report, "devices"), 0);
		second = json_at(json_get(report, "devices"), 1);
		assert_string_equal(json_get_string(first, "compute_capability"), "8.9");
		assert_int_equal(json_get_int(first, "memory_bytes", 0), 2048);
		assert_int_equal(json_kind(json_get(first, "memory_gb_per_second")),
				 JSON_KIND_NULL);
		assert_true(json_get_real(second, "memory_gb_per_second", 0) > 863);
		assert_int_equal(json_count(json_get(first, "kernels")), CUDA_KERNELS);
		assert_int_equal(json_get_bool(json_at(json_get(first, "kernels"), 0),
					       "correct", wrong),
				 !wrong);
	}
	agent_stage_end(agent);
}

static void the_matrix_has_the_size_that_was_asked_for(void **state)
{
	static const unsigned rows[][2] = { { 0, CUDA_SIZE_DEFAULT }, { 512, 512 } };
	struct agent *agent = agent_stage(*state, &request.options);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		gpu.devices = 1;
		gpu.wrong = false;
		request.size = rows[i][0];
		assert_int_equal(command_validate(agent, &request, &report, &err), 0);
		assert_int_equal(gpu.size, rows[i][1]);
		assert_int_equal(json_get_int(report, "size", 0), rows[i][1]);
	}
	agent_stage_end(agent);
}

/* Without a GPU no driver would help: that is said, and not that there is no library. */
static void what_cannot_be_done_has_no_report(void **state)
{
	static const struct {
		bool offline;
		enum error_code code;
	} rows[] = { { false, ERROR_NO_GPU },
		     { false, ERROR_DRIVER },
		     { true, ERROR_USAGE } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = agent_stage(*state, &request.options);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		gpu.devices = 0;
		agent->context.offline = rows[i].offline;
		if (i == 1) /* and it stays */
			stage_add_gpu(*state);
		assert_int_equal(command_validate(agent, &request, &report, &err), -1);
		assert_int_equal(err.code, rows[i].code);
		assert_null(report);
		agent_stage_end(agent);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_device_is_in_the_report),
		TEST(the_matrix_has_the_size_that_was_asked_for),
		TEST(what_cannot_be_done_has_no_report),
	};

	return cmocka_run_group_tests_name("command_validate", tests, NULL, NULL);
}
