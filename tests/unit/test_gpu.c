/* SPDX-License-Identifier: Apache-2.0 */
#include "model/gpu.h"

#include <string.h>

#include "support/cmocka.h"

#define VF_AT 0xd0

static void load(const char *name, uint8_t config[static GPU_CONFIG_SIZE])
{
	char path[256];
	FILE *f;

	(void)snprintf(path, sizeof(path), TEST_DATA_DIR "/pci/%s", name);
	f = fopen(path, "rbe");
	assert_non_null(f);
	assert_int_equal(fread(config, 1, GPU_CONFIG_SIZE, f), GPU_CONFIG_SIZE);
	(void)fclose(f);
}

/* The real vGPU with other bytes at its capability. */
static struct gpu read_with(const char *bytes, size_t size)
{
	uint8_t config[GPU_CONFIG_SIZE];
	struct gpu gpu = { .address = "0000:06:00.0" };

	load("vgpu_1eb8.config", config);
	memcpy(config + VF_AT, bytes, size);
	gpu_read_config(&gpu, config, sizeof(config));
	return gpu;
}

static void a_real_vgpu_tells_its_host(void **state)
{
	struct gpu gpu = read_with("", 0);

	(void)state;
	assert_int_equal(gpu.kind, GPU_VGPU);
	assert_int_equal(gpu.record, GPU_RECORD_READ);
	assert_string_equal(gpu.host.version, "460.16");
	assert_string_equal(gpu.host.branch, "r460_00");
	assert_string_equal(gpu.note, "");
}

static void a_real_passed_through_gpu_is_no_vgpu(void **state)
{
	uint8_t config[GPU_CONFIG_SIZE];
	struct gpu gpu = { .address = "" };

	(void)state;
	load("passthrough_118a.config", config);
	gpu_read_config(&gpu, config, sizeof(config));

	assert_int_equal(gpu.kind, GPU_PASSTHROUGH);
	assert_int_equal(gpu.record, GPU_RECORD_ABSENT);
	assert_string_equal(gpu.host.version, "");
	assert_non_null(strstr(gpu.note, "no vGPU capability"));
}

#define RECORD(text) "\x09\x68\x1b\x56\x46\x00\x16" text

static void records_give_version_and_branch(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		const char *version, *branch;
	} cases[] = {
		/* ten characters fill the field: the branch follows without a NUL */
		{ RECORD("525.105.14r528_79\0\0\0"), 27, "525.105.14", "r528_79" },
		{ RECORD("580.126.08r582_12\0\0\0"), 27, "580.126.08", "r582_12" },
		{ RECORD("553.07\0\0\0\0r552_52\0\0\0"), 27, "553.07", "r552_52" },
		{ RECORD("595.71.03\0VK526_2510"), 27, "595.71.03", "VK526_2510" },
		{ RECORD("535.54.06\0\0\0\0\0\0\0\0\0\0\0"), 27, "535.54.06", "" },
		/* an unknown record in front */
		{ "\x09\x68\x1f\x56\x46\x01\x04\xaa\xbb\x00\x16"
		  "460.16\0\0\0\0r460_00\0\0\0",
		  31, "460.16", "r460_00" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gpu gpu = read_with(cases[i].bytes, cases[i].size);

		assert_int_equal(gpu.kind, GPU_VGPU);
		assert_string_equal(gpu.host.version, cases[i].version);
		assert_string_equal(gpu.host.branch, cases[i].branch);
	}
}

static void hostile_capabilities_end_in_a_note(void **state)
{
	static const struct {
		const char *bytes;
		size_t size;
		enum gpu_kind kind;
		enum gpu_record record;
		const char *note;
	} cases[] = {
		{ "\x09\x68\x1b\x56\x46\x01\x00", 7, GPU_VGPU, GPU_RECORD_MALFORMED,
		  "malformed record at byte 5" },
		{ "\x09\x68\x1b\x56\x46\x01\x01", 7, GPU_VGPU, GPU_RECORD_MALFORMED,
		  "malformed record at byte 5" },
		{ "\x09\x68\x1b\x56\x46\x00\x17", 7, GPU_VGPU, GPU_RECORD_MALFORMED,
		  "malformed record at byte 5" },
		/* one byte is left for the second record's two */
		{ "\x09\x68\x08\x56\x46\x01\x02\x00", 8, GPU_VGPU, GPU_RECORD_MALFORMED,
		  "malformed record at byte 7" },
		{ "\x09\x68\x09\x56\x46\x00\x04\x31\x2e", 9, GPU_VGPU,
		  GPU_RECORD_MALFORMED, "of 4 bytes instead of 22: 0004312e" },
		{ RECORD("........................"), 27, GPU_VGPU, GPU_RECORD_MALFORMED,
		  "holds no version" },
		{ "\x09\x68\xff", 3, GPU_VGPU, GPU_RECORD_MALFORMED, "is cut off" },
		{ "\x09\x68\x31", 3, GPU_VGPU, GPU_RECORD_MALFORMED, "is cut off" },
		{ "\x09\x68\x05", 3, GPU_VGPU, GPU_RECORD_ABSENT,
		  "no host driver record" },
		/* too short for its own letters: they belong to something else */
		{ "\x09\x00\x04", 3, GPU_PASSTHROUGH, GPU_RECORD_ABSENT,
		  "no vGPU capability" },
		{ "\x05\xd0", 2, GPU_UNKNOWN, GPU_RECORD_MALFORMED, "broken at 0xd0" },
		{ "\x05\x3c", 2, GPU_UNKNOWN, GPU_RECORD_MALFORMED, "broken at 0x3c" },
		{ "\x05\x69", 2, GPU_UNKNOWN, GPU_RECORD_MALFORMED, "broken at 0x69" },
		{ "\xff\x00", 2, GPU_UNKNOWN, GPU_RECORD_MALFORMED, "broken at 0xd0" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gpu gpu = read_with(cases[i].bytes, cases[i].size);

		assert_int_equal(gpu.kind, cases[i].kind);
		assert_int_equal(gpu.record, cases[i].record);
		assert_string_equal(gpu.host.version, "");
		if (!strstr(gpu.note, cases[i].note))
			fail_msg("case %zu: %s", i, gpu.note);
	}
}

static void the_second_vendor_capability_counts_too(void **state)
{
	uint8_t config[GPU_CONFIG_SIZE];
	struct gpu gpu = { .address = "" };

	(void)state;
	load("vgpu_1eb8.config", config);
	config[0x34] = 0x40;
	memcpy(config + 0x40, "\x09\xd0\x10\x01", 4);
	gpu_read_config(&gpu, config, sizeof(config));

	assert_string_equal(gpu.host.version, "460.16");
}

static void a_capability_at_the_very_end_is_not_overread(void **state)
{
	uint8_t config[GPU_CONFIG_SIZE];
	struct gpu gpu = { .address = "" };

	(void)state;
	load("vgpu_1eb8.config", config);
	config[0x34] = 0xfc;
	memcpy(config + 0xfc, "\x09\x00\x1bV", 4);
	gpu_read_config(&gpu, config, sizeof(config));

	assert_int_equal(gpu.kind, GPU_PASSTHROUGH);
}

static void what_is_not_read_whole_is_unknown(void **state)
{
	uint8_t config[GPU_CONFIG_SIZE];
	struct gpu_list list = { .count = 1 };
	struct host_driver host;
	struct error err = ERROR_INIT;

	(void)state;
	load("vgpu_1eb8.config", config);
	gpu_read_config(&list.gpus[0], config, 64);

	assert_int_equal(list.gpus[0].kind, GPU_UNKNOWN);
	assert_non_null(strstr(list.gpus[0].note, "needs root"));
	assert_int_equal(gpu_host(&list, &host, &err), -1);
	assert_int_equal(err.code, ERROR_PERMISSION);
}

static void a_gpu_that_fell_off_the_bus_is_unknown(void **state)
{
	uint8_t config[GPU_CONFIG_SIZE];
	struct gpu gpu = { .address = "" };

	(void)state;
	memset(config, 0xff, sizeof(config));
	gpu_read_config(&gpu, config, sizeof(config));

	assert_int_equal(gpu.kind, GPU_UNKNOWN);
	assert_non_null(strstr(gpu.note, "does not answer"));
}

static struct gpu_list two_gpus(const char *first, const char *second)
{
	struct gpu_list list = { .count = 2 };
	const char *versions[] = { first, second };

	for (size_t i = 0; i < 2; i++) {
		struct gpu *gpu = &list.gpus[i];

		(void)snprintf(gpu->address, sizeof(gpu->address), "0000:0%zu:00.0", i);
		gpu->kind = versions[i][0] ? GPU_VGPU : GPU_PASSTHROUGH;
		gpu->record = versions[i][0] ? GPU_RECORD_READ : GPU_RECORD_ABSENT;
		(void)snprintf(gpu->host.version, sizeof(gpu->host.version), "%s",
			       versions[i]);
	}
	return list;
}

static void vgpus_that_disagree_are_named(void **state)
{
	struct gpu_list list = two_gpus("525.105.14", "535.54.06");
	struct error err = ERROR_INIT;
	struct host_driver host;

	(void)state;
	assert_int_equal(gpu_host(&list, &host, &err), -1);

	assert_int_equal(err.code, ERROR_NO_MATCH);
	assert_non_null(strstr(err.text, "0000:00:00.0 says 525.105.14"));
	assert_non_null(strstr(err.text, "0000:01:00.0 says 535.54.06"));
}

static void one_vgpu_tells_for_all(void **state)
{
	struct gpu_list list = two_gpus("", "535.54.06");
	struct error err = ERROR_INIT;
	struct host_driver host;

	(void)state;
	assert_int_equal(gpu_host(&list, &host, &err), 0);

	assert_string_equal(host.version, "535.54.06");
	assert_true(gpu_has_vgpu(&list));
}

static void passed_through_gpus_have_no_host(void **state)
{
	struct gpu_list list = two_gpus("", "");
	struct error err = ERROR_INIT;
	struct host_driver host;

	(void)state;
	assert_int_equal(gpu_host(&list, &host, &err), 0);

	assert_string_equal(host.version, "");
	assert_false(gpu_has_vgpu(&list));
}

static void only_two_classes_are_gpus(void **state)
{
	(void)state;
	assert_true(gpu_is_class(0x030000));
	assert_true(gpu_is_class(0x0302ff));
	assert_false(gpu_is_class(0x040300)); /* HDMI audio */
	assert_false(gpu_is_class(0x068000)); /* NVSwitch */
	assert_false(gpu_is_class(0x030100));
}

static void the_json_is_the_contracts(void **state)
{
	struct gpu_list list = two_gpus("525.105.14", "");
	cleanup_json struct json *json = NULL;
	cleanup_free char *text = NULL;

	(void)state;
	list.gpus[0].device = 0x1eb8;
	list.gpus[0].subsystem_device = 0x130f;
	list.gpus[0].class = 0x030000;
	strcpy(list.gpus[0].host.branch, "r528_79");
	list.gpus[1].device = 0xa;
	list.gpus[1].class = 0x030200;
	strcpy(list.gpus[1].note, "why");
	json = gpu_list_json(&list);
	assert_non_null(json);
	text = json_print(json);

	assert_string_equal(
		text, "[{\"address\":\"0000:00:00.0\",\"device_id\":\"0x1eb8\","
		      "\"subsystem_device_id\":\"0x130f\",\"class\":\"0x030000\","
		      "\"kind\":\"vgpu\",\"host_driver\":{\"version\":\"525.105.14\","
		      "\"branch\":\"r528_79\"}},"
		      "{\"address\":\"0000:01:00.0\",\"device_id\":\"0x000a\","
		      "\"subsystem_device_id\":\"0x0000\",\"class\":\"0x030200\","
		      "\"kind\":\"passthrough\",\"host_driver\":null,\"note\":\"why\"}]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_real_vgpu_tells_its_host),
		cmocka_unit_test(a_real_passed_through_gpu_is_no_vgpu),
		cmocka_unit_test(records_give_version_and_branch),
		cmocka_unit_test(hostile_capabilities_end_in_a_note),
		cmocka_unit_test(the_second_vendor_capability_counts_too),
		cmocka_unit_test(a_capability_at_the_very_end_is_not_overread),
		cmocka_unit_test(what_is_not_read_whole_is_unknown),
		cmocka_unit_test(a_gpu_that_fell_off_the_bus_is_unknown),
		cmocka_unit_test(vgpus_that_disagree_are_named),
		cmocka_unit_test(one_vgpu_tells_for_all),
		cmocka_unit_test(passed_through_gpus_have_no_host),
		cmocka_unit_test(only_two_classes_are_gpus),
		cmocka_unit_test(the_json_is_the_contracts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
