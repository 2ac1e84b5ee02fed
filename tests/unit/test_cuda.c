/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/validate/cuda.h"

#include <string.h>

#include "support/cmocka.h"

static int validate(const char *library, unsigned size, struct cuda_report *report,
		    struct error *err)
{
	struct cuda_options options = { library, size, &cuda_suite_own };

	return cuda_validate(&options, report, err);
}

/* Libraries of tests/fake/cuda.c, each with other manners. */
#define FAKE(name) FAKE_CUDA_DIR "/libfake_cuda_" name ".so"

static void a_good_gpu_passes_with_every_kernel(void **state)
{
	struct cuda_report report = { .count = 0 };
	struct error err = ERROR_INIT;
	const struct cuda_device *device;

	(void)state;
	assert_int_equal(validate(FAKE("good"), 128, &report, &err), 0);

	assert_int_equal(report.count, 1);
	device = &report.devices[0];
	assert_string_equal(device->name, "Fake GPU MIG 1g.12gb?");
	assert_string_equal(device->uuid, "MIG-abababab-abab-abab-abab-abababababab");
	assert_true(device->mig);
	assert_int_equal(device->multiprocessors, 7);
	assert_true(device->peak_gb_per_second > 1023);
	for (size_t i = 0; i < CUDA_KERNELS; i++) {
		assert_true(device->kernels[i].correct);
		assert_true(device->kernels[i].gb_per_second > 0);
		assert_non_null(strstr(cuda_kernels, device->kernels[i].name));
	}
	assert_true(cuda_looks_throttled(device));
	cuda_report_done(&report);
}

/* The fake GPU takes 40 us for each, whoever launches it and how many at once. */
static void a_launch_takes_as_long_by_itself_as_in_a_graph(void **state)
{
	static const char *const libraries[] = { FAKE("good"), FAKE("early") };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(libraries); i++) {
		struct cuda_report report = { .count = 0 };
		struct error err = ERROR_INIT;

		assert_int_equal(validate(libraries[i], 128, &report, &err), 0);

		for (size_t k = 0; k < CUDA_KERNELS; k++) {
			double seconds = report.devices[0].kernels[k].seconds;

			assert_true(seconds > 39e-6 && seconds < 41e-6);
		}
		cuda_report_done(&report);
	}
}

static void one_wrong_element_is_found_and_named(void **state)
{
	struct cuda_report report = { .count = 0 };
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(validate(FAKE("wrong"), 128, &report, &err), -1);

	assert_int_equal(err.code, ERROR_DRIVER);
	assert_non_null(strstr(err.text, "optimized computed wrongly"));
	assert_int_equal(report.count, 1);
	assert_true(report.devices[0].kernels[0].correct);
	assert_false(report.devices[0].kernels[3].correct);
	cuda_report_done(&report);
}

static void what_the_driver_lacks_is_said(void **state)
{
	static const struct {
		const char *library, *text;
	} cases[] = {
		{ "/nonexistent/libcuda.so.1", "the driver's CUDA library" },
		{ FAKE("old"), "has no cuEventElapsedTime" },
		{ FAKE("dead"), "CUDA_ERROR_NO_DEVICE (100)" },
		{ FAKE("empty"), "CUDA shows no device" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct cuda_report report = { .count = 0 };
		struct error err = ERROR_INIT;

		assert_int_equal(validate(cases[i].library, 64, &report, &err), -1);
		assert_int_equal(err.code, ERROR_DRIVER);
		if (!strstr(err.text, cases[i].text))
			fail_msg("%s: %s", cases[i].library, err.text);
		assert_int_equal(report.count, 0);
	}
}

static void only_whole_tiles_are_taken(void **state)
{
	static const unsigned sizes[] = { 0, 63, 100, 32832 };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		struct cuda_report report;
		struct error err = ERROR_INIT;

		assert_int_equal(validate(FAKE("good"), sizes[i], &report, &err), -1);
		assert_int_equal(err.code, ERROR_USAGE);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_good_gpu_passes_with_every_kernel),
		cmocka_unit_test(a_launch_takes_as_long_by_itself_as_in_a_graph),
		cmocka_unit_test(one_wrong_element_is_found_and_named),
		cmocka_unit_test(what_the_driver_lacks_is_said),
		cmocka_unit_test(only_whole_tiles_are_taken),
	};

	return cmocka_run_group_tests_name("cuda", tests, NULL, NULL);
}
