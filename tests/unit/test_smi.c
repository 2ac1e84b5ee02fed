/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/smi.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"
#include "support/smi_report.h"

static struct license_report report;

static int parse(const char *text, struct error *err)
{
	return smi_parse(span_of(text), &report, err);
}

static int parse_sample(const char *name, struct error *err)
{
	cleanup_free char *text = smi_report_sample(name);

	return parse(text, err);
}

static const struct {
	const char *file, *driver, *name, *id, *virtualization, *product, *status;
	size_t features;
} samples[] = {
	{ "535-vgpu-unlicensed.txt", "535.183.06", "NVIDIA RTXA6000-24Q",
	  "00000000:00:10.0", "VGPU", "NVIDIA RTX Virtual Workstation", "Unlicensed", 1 },
	{ "510-vgpu-licensed.txt", "510.47.03", "GRID A100-4C", "00000000:02:01.0",
	  "VGPU", "NVIDIA Virtual Compute Server",
	  "Licensed (Expiry: 2022-5-27 0:8:28 GMT)", 1 },
	{ "580-passthrough.txt", "580.142", "NVIDIA H100 NVL", "00000000:06:00.0",
	  "Pass-Through", "", "", 0 },
	{ "580-passthrough-h200.txt", "580.159.04", "NVIDIA H200", "00000000:00:06.0",
	  "Pass-Through", "", "", 0 },
	{ "595-host.txt", "595.71.03", "NVIDIA H100 NVL", "00000000:A1:00.0", "Host VGPU",
	  "", "", 0 },
	{ "610-two-vgpus.txt", "610.57.04", "NVIDIA L40S-2Q", "00000000:02:00.0", "VGPU",
	  "NVIDIA RTX Virtual Workstation", "Licensed (Expiry: 2026-7-7 16:1:44 GMT)",
	  2 },
	{ "390-grid-heading.txt", "390.115", "Tesla M60", "00000000:00:1E.0",
	  "Pass-Through", "GRID vGaming", "Licensed", 1 },
};

static void parse_reads_every_generation(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(samples); i++) {
		const struct license_gpu *gpu = &report.gpus[0];
		struct error err = ERROR_INIT;

		print_message("case: %s\n", samples[i].file);
		assert_int_equal(parse_sample(samples[i].file, &err), 0);
		assert_string_equal(report.driver_version, samples[i].driver);
		assert_string_equal(gpu->name, samples[i].name);
		assert_string_equal(gpu->id, samples[i].id);
		assert_string_equal(gpu->virtualization, samples[i].virtualization);
		assert_int_equal(gpu->feature_count, samples[i].features);
		assert_string_equal(gpu->features[0].product, samples[i].product);
		assert_string_equal(gpu->features[0].status, samples[i].status);
	}
}

static void every_gpu_and_every_product_is_read(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(parse_sample("610-two-vgpus.txt", &err), 0);

	assert_int_equal(report.count, 2);
	assert_string_equal(report.gpus[0].features[1].product, "NVIDIA Virtual PC");
	assert_int_equal(report.gpus[0].features[1].state, LICENSE_NOT_APPLICABLE);
	assert_string_equal(report.gpus[1].id, "00000000:03:00.0");
	assert_string_equal(report.gpus[1].uuid,
			    "GPU-00000000-0000-4000-8000-000000000005");
	assert_int_equal(report.gpus[1].features[0].state, LICENSE_UNLICENSED_RESTRICTED);
}

/* A process may be called anything, with line breaks. */
static void a_process_name_is_no_license(void **state)
{
	cleanup_free char *text = smi_report_sample("535-vgpu-unlicensed.txt");
	cleanup_free char *spoofed = NULL;
	struct error err = ERROR_INIT;

	(void)state;
	spoofed = text_print("%s    Processes\n"
			     "    vGPU Software Licensed Product\n"
			     "        Product Name : x\n"
			     "        License Status : Licensed\n",
			     text);

	assert_int_equal(parse(spoofed, &err), 0);
	assert_int_equal(report.gpus[0].feature_count, 1);
	assert_int_equal(report.gpus[0].features[0].state, LICENSE_UNLICENSED);
}

static void any_section_behind_the_license_ends_it(void **state)
{
	cleanup_free char *text = smi_report_sample("510-vgpu-licensed-head.txt");
	cleanup_free char *ended = text_print("%s    IBMNPU\n", text);
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(parse(ended, &err), 0);
	assert_int_equal(report.gpus[0].features[0].state, LICENSE_LICENSED);
}

static void a_status_without_a_product_is_one_too(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(parse("GPU 00000000:02:00.0\n"
			       "    vGPU Software Licensed Product\n"
			       "        License Status : Unlicensed\n"
			       "        License Status : Licensed\n"
			       "        Product Name : last\n"
			       "    PCI\n"
			       "        GPU 00000000:03:00.0\n",
			       &err),
			 0);
	assert_int_equal(report.count, 1);
	assert_int_equal(report.gpus[0].feature_count, 3);
	assert_int_equal(report.gpus[0].features[0].state, LICENSE_UNLICENSED);
	assert_int_equal(report.gpus[0].features[1].state, LICENSE_LICENSED);
	assert_string_equal(report.gpus[0].features[2].product, "last");
	assert_int_equal(report.gpus[0].features[2].state, LICENSE_UNKNOWN);
}

static void the_heads_alone_are_half_a_report(void **state)
{
	static const char *const heads[] = { "535-vgpu-unlicensed-head.txt",
					     "510-vgpu-licensed-head.txt" };

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(parse_sample(heads[i], &err), -1);
		assert_int_equal(err.code, ERROR_DRIVER);
		assert_non_null(strstr(err.text, "stops in the middle"));
	}
}

/* However much of it is missing, a cut report is an error or the whole truth. */
static void no_cut_changes_what_is_read(void **state)
{
	cleanup_free char *text = smi_report_sample("610-two-vgpus.txt");
	size_t whole = strlen(text), accepted = 0;
	static struct license_report expected;
	struct error err = ERROR_INIT;

	(void)state;
	assert_int_equal(parse(text, &err), 0);
	expected = report;

	for (size_t size = 0; size < whole; size++) {
		if (smi_parse((struct span){ text, size }, &report, &err) < 0) {
			assert_int_equal(err.code, ERROR_DRIVER);
			continue;
		}
		assert_memory_equal(&report, &expected, sizeof(report));
		accepted++;
	}
	assert_in_range(accepted, 1, whole / 4);
}

static void carriage_returns_and_a_missing_last_line_end_are_nothing(void **state)
{
	cleanup_free char *text = smi_report_sample("535-vgpu-unlicensed.txt");
	cleanup_free char *windows = calloc(2, strlen(text) + 1);
	struct error err = ERROR_INIT;
	size_t size = 0;

	(void)state;
	for (const char *c = text; *c; c++) {
		if (*c == '\n')
			windows[size++] = '\r';
		windows[size++] = *c;
	}

	while (size > 0 && (windows[size - 1] == '\n' || windows[size - 1] == '\r'))
		windows[--size] = '\0';
	assert_int_equal(parse(windows, &err), 0);
	assert_string_equal(report.gpus[0].features[0].status, "Unlicensed");
	assert_string_equal(report.driver_version, "535.183.06");
}

/* Error texts: NVIDIA's, from public logs. */
static const struct {
	const char *text, *said;
} failures[] = {
	{ "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make "
	  "sure that the latest NVIDIA driver is installed and running.\n\n",
	  "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver" },
	{ "Failed to initialize NVML: Driver/library version mismatch\n"
	  "NVML library version: 580.173\n",
	  "Failed to initialize NVML: Driver/library version mismatch" },
	{ "Failed to initialize NVML: Unknown Error\n", "NVML: Unknown Error" },
	{ "No devices were found\n", "No devices were found" },
	{ "\n\nsh: some new words\n", "printed no report but: sh: some new words" },
	{ "", "printed nothing" },
	{ "\n \r\n\n", "printed nothing" },
	{ "==============NVSMI LOG==============\n\nDriver Version : 535.1\nAttached GPUs : "
	  "0\n",
	  "shows no GPU" },
	{ "==============NVSMI LOG==============\nAttached GPUs : 0\nNo devices were found\n",
	  "No devices were found" },
	{ "\x01\x02\xff\xfe garbage \x1b[31m\n", "???? garbage ?[31m" },
};

static void a_report_without_a_gpu_fails_in_its_own_words(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(failures); i++) {
		struct error err = ERROR_INIT;

		assert_int_equal(parse(failures[i].text, &err), -1);
		print_message("said: %s\n", err.text);
		assert_int_equal(err.code, ERROR_DRIVER);
		assert_non_null(strstr(err.text, failures[i].said));
	}
}

#define LOST "Unable to determine the device handle for GPU1: 0000:34:00.0: Unknown Error"

static void an_error_line_before_or_behind_a_whole_report_is_no_failure(void **state)
{
	cleanup_free char *text = smi_report_sample("535-vgpu-unlicensed.txt");
	cleanup_free char *before = text_print(LOST "\n%s", text);
	cleanup_free char *behind =
		text_print("%sWARNING: infoROM is corrupted at gpu 0000:0B:00.0\n", text);
	struct error err = ERROR_INIT;
	char said[128];

	(void)state;

	assert_int_equal(parse(before, &err), 0);
	assert_int_equal(report.count, 1);
	assert_true(smi_complaint(span_of(before), said, sizeof(said)));
	assert_string_equal(said, LOST);

	assert_int_equal(parse(behind, &err), 0);
	assert_false(smi_complaint(span_of(behind), said, sizeof(said)));
}

static void fewer_or_more_gpus_than_announced_are_an_error(void **state)
{
	(void)state;

	for (int announced = 1; announced <= 3; announced += 2) {
		cleanup_free char *text = smi_report_vgpus(2, announced, "Licensed");
		struct error err = ERROR_INIT;

		assert_int_equal(parse(text, &err), -1);
		assert_non_null(strstr(err.text, "another number of GPUs"));
	}
}

static void a_gpu_that_breaks_off_before_another_is_an_error(void **state)
{
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(parse("Attached GPUs : 2\n"
			       "GPU 00000000:02:00.0\n"
			       "    Product Name : NVIDIA L40S-2Q\n"
			       "GPU 00000000:03:00.0\n"
			       "    GPU Virtualization Mode\n"
			       "        Virtualization Mode : None\n"
			       "    PCI\n",
			       &err),
			 -1);
	assert_non_null(strstr(err.text, "stops in the middle"));
}

static void sixty_four_gpus_fit_and_more_are_refused(void **state)
{
	cleanup_free char *most = smi_report_vgpus(64, 64, "Unlicensed");
	cleanup_free char *more = smi_report_vgpus(65, 65, "Licensed");
	struct error err = ERROR_INIT;

	(void)state;

	assert_int_equal(parse(most, &err), 0);
	assert_int_equal(report.count, 64);
	assert_string_equal(report.gpus[63].id, "00000000:3F:00.0");

	assert_int_equal(parse(more, &err), -1);
	assert_string_equal(err.text, "nvidia-smi's report shows more than 64 GPUs");
}

static void long_values_and_many_products_are_cut_not_overrun(void **state)
{
	struct error err = ERROR_INIT;
	char text[4096], name[300];
	size_t used;

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	used = (size_t)snprintf(text, sizeof(text),
				"GPU 00000000:02:00.0\n    Product Name : %s\n"
				"    vGPU Software Licensed Product\n",
				name);
	for (int i = 0; i < 6; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 "        Product Name : p%d:%s\n"
					 "        License Status : Licensed\n",
					 i, i == 0 ? name : "");
	(void)snprintf(text + used, sizeof(text) - used, "    PCI\n");

	assert_int_equal(parse(text, &err), 0);
	assert_int_equal(strlen(report.gpus[0].name), sizeof(report.gpus[0].name) - 1);
	assert_int_equal(report.gpus[0].feature_count, LICENSE_FEATURES_MAX);
	assert_string_equal(report.gpus[0].features[3].product, "p3:");
}

/* Generations of the driver, and what a hand may have typed. */
static void a_key_is_known_in_any_capitals(void **state)
{
	static const char *const reports[] = {
		"GPU 00000000:02:00.0\n"
		"    GPU Virtualization mode\n        Virtualization mode : Pass-Through\n"
		"    vGPU Software Licensed product\n        License status : Licensed\n"
		"    PCI\n",
		"GPU 00000000:02:00.0\n"
		"    GPU VIRTUALIZATION MODE\n        VIRTUALIZATION MODE : Pass-Through\n"
		"    GRID LICENSED PRODUCT\n        LICENSE STATUS : Licensed\n    PCI\n",
		"gpu 00000000:02:00.0\n"
		"    gpu virtualization mode\n        virtualization mode : Pass-Through\n"
		"    grid licensed product\n        license status : Licensed\n    pci\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(reports); i++) {
		struct license_report found;
		struct error err = ERROR_INIT;

		if (smi_parse(span_of(reports[i]), &found, &err) < 0)
			fail_msg("%zu: %s", i, err.text);
		assert_string_equal(found.gpus[0].virtualization, "Pass-Through");
		assert_false(license_needed(&found.gpus[0], 1));
		assert_int_equal(found.gpus[0].features[0].state, LICENSE_LICENSED);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_key_is_known_in_any_capitals),
		cmocka_unit_test(parse_reads_every_generation),
		cmocka_unit_test(every_gpu_and_every_product_is_read),
		cmocka_unit_test(a_process_name_is_no_license),
		cmocka_unit_test(any_section_behind_the_license_ends_it),
		cmocka_unit_test(a_status_without_a_product_is_one_too),
		cmocka_unit_test(the_heads_alone_are_half_a_report),
		cmocka_unit_test(no_cut_changes_what_is_read),
		cmocka_unit_test(
			carriage_returns_and_a_missing_last_line_end_are_nothing),
		cmocka_unit_test(a_report_without_a_gpu_fails_in_its_own_words),
		cmocka_unit_test(
			an_error_line_before_or_behind_a_whole_report_is_no_failure),
		cmocka_unit_test(fewer_or_more_gpus_than_announced_are_an_error),
		cmocka_unit_test(a_gpu_that_breaks_off_before_another_is_an_error),
		cmocka_unit_test(sixty_four_gpus_fit_and_more_are_refused),
		cmocka_unit_test(long_values_and_many_products_are_cut_not_overrun),
	};

	return cmocka_run_group_tests_name("smi", tests, NULL, NULL);
}
