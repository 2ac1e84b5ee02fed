/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/license.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

/* Strings: public samples and NVIDIA's DCGM, DcgmVgpu.cpp. Times: date -u +%s. */
static const struct {
	const char *text;
	enum license_state state;
	enum license_expiry kind;
	int64_t expiry;
} statuses[] = {
	{ "Licensed", LICENSE_LICENSED, LICENSE_EXPIRY_NONE, 0 },
	{ "Licensed (Expiry: 2021-11-13 18:29:59 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_DATE, 1636828199 },
	{ "Licensed (Expiry: 2022-5-27 0:8:28 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_DATE, 1653610108 },
	{ "Licensed (Expiry: 2024-2-29 23:59:59 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_DATE, 1709251199 },
	{ "Licensed (Expiry: 2000-02-29 00:00:00 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_DATE, 951782400 },
	{ "Licensed (Expiry: 2038-1-19 3:14:8 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_DATE, 2147483648 },
	{ "Licensed (Expiry: 1970-1-1 0:0:0 GMT)", LICENSE_LICENSED, LICENSE_EXPIRY_DATE,
	  0 },
	{ "Licensed (Expiry: 9999-12-31 23:59:59 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_DATE, 253402300799 },
	{ "Licensed (Expiry: 2023-2-29 0:0:0 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: 2100-2-29 0:0:0 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: 2026-13-1 0:0:0 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: 2026-1-1 24:0:0 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: 2026-1-1 0:0:0 CET)", LICENSE_LICENSED, LICENSE_EXPIRY_ERROR,
	  0 },
	{ "Licensed (Expiry: 99999999999-1-1 0:0:0 GMT)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: -1-1-1 0:0:0 GMT)", LICENSE_LICENSED, LICENSE_EXPIRY_ERROR,
	  0 },
	{ "Licensed (Expiry: 2026-1-1 0:0", LICENSE_LICENSED, LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: )", LICENSE_LICENSED, LICENSE_EXPIRY_ERROR, 0 },
	{ "Licensed (Expiry: Permanent)", LICENSE_LICENSED, LICENSE_EXPIRY_PERMANENT, 0 },
	{ "Licensed (Expiry: N/A)", LICENSE_LICENSED, LICENSE_EXPIRY_NOT_APPLICABLE, 0 },
	{ "Licensed (Expiry: Not Available)", LICENSE_LICENSED,
	  LICENSE_EXPIRY_UNAVAILABLE, 0 },
	{ "Licensed (Expiry: ERR!)", LICENSE_LICENSED, LICENSE_EXPIRY_ERROR, 0 },
	{ "  Licensed \r", LICENSE_LICENSED, LICENSE_EXPIRY_NONE, 0 },
	{ "Unlicensed", LICENSE_UNLICENSED, LICENSE_EXPIRY_NONE, 0 },
	{ "Unlicensed (Unrestricted)", LICENSE_UNLICENSED_UNRESTRICTED,
	  LICENSE_EXPIRY_NONE, 0 },
	{ "Unlicensed (Restricted)", LICENSE_UNLICENSED_RESTRICTED, LICENSE_EXPIRY_NONE,
	  0 },
	{ "Unlicensed (something new)", LICENSE_UNLICENSED, LICENSE_EXPIRY_NONE, 0 },
	{ "Unknown", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
	{ "Unknown Error", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
	{ "N/A", LICENSE_NOT_APPLICABLE, LICENSE_EXPIRY_NONE, 0 },
	{ "", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
	{ "licensed", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
	{ "Licensed not", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
	{ "Not Licensed", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
	{ "LicensedX", LICENSE_UNKNOWN, LICENSE_EXPIRY_NONE, 0 },
};

static void status_is_read_word_by_word(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(statuses); i++) {
		struct license_feature feature;

		memset(&feature, 0x55, sizeof(feature));
		print_message("case: '%s'\n", statuses[i].text);
		license_read_status(span_of(statuses[i].text), &feature);
		assert_int_equal(feature.state, statuses[i].state);
		assert_int_equal(feature.expiry_kind, statuses[i].kind);
		if (feature.expiry_kind == LICENSE_EXPIRY_DATE)
			assert_int_equal(feature.expiry, statuses[i].expiry);
	}
}

static struct license_gpu gpu_of(const char *virtualization, const char *product,
				 const char *status)
{
	struct license_gpu gpu = { .id = "00000000:02:00.0" };

	(void)text_copy(gpu.virtualization, sizeof(gpu.virtualization), virtualization);
	if (status) {
		gpu.feature_count = 1;
		(void)text_copy(gpu.features[0].product, sizeof(gpu.features[0].product),
				product);
		license_read_status(span_of(status), &gpu.features[0]);
	}
	return gpu;
}

#define VWS "NVIDIA RTX Virtual Workstation"

static const struct {
	const char *virtualization, *product, *status;
	int feature_type;
	bool needed, held;
} gpus[] = {
	{ "VGPU", VWS, "Licensed", 1, true, true },
	{ "VGPU", VWS, "Licensed", 0, true, true },
	{ "VGPU", VWS, "Unlicensed", 1, true, false },
	{ "VGPU", VWS, NULL, 1, true, false }, /* no license section */
	{ "Pass-Through", VWS, NULL, 1, false, false },
	{ "Pass-Through", VWS, NULL, 2, true, false },
	{ "Pass-Through", VWS, NULL, 3, false, false },
	{ "Pass-Through", VWS, NULL, 4, true, false },
	{ "Pass-Through", VWS, "Licensed (Expiry: N/A)", 2, true, true },
	/* What an unlicensed passed-through GPU says. */
	{ "Pass-Through", "NVIDIA Virtual Applications", "Licensed (Expiry: N/A)", 2,
	  true, false },
	{ "VGPU", "NVIDIA Virtual Applications", "Licensed (Expiry: N/A)", 1, true,
	  true },
	{ "None", VWS, NULL, 2, false, false },
	{ "N/A", VWS, NULL, 2, false, false },
	{ "Host VGPU", VWS, NULL, 2, false, false },
	{ "Unknown Error", VWS, NULL, 1, true, false },
	{ "", VWS, NULL, 1, true, false },
};

static void who_needs_a_license_and_who_has_one(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(gpus); i++) {
		struct license_report report = {
			.count = 1,
			.gpus = { gpu_of(gpus[i].virtualization, gpus[i].product,
					 gpus[i].status) },
		};
		const struct license_gpu *gpu = &report.gpus[0];

		print_message("case: %zu\n", i);
		assert_int_equal(license_needed(gpu, gpus[i].feature_type),
				 gpus[i].needed);
		assert_int_equal(license_held(gpu), gpus[i].held);
		assert_int_equal(license_all_held(&report, 1, gpus[i].feature_type),
				 !gpus[i].needed || gpus[i].held);
	}
}

static void one_unlicensed_vgpu_of_two_is_not_licensed(void **state)
{
	struct license_report report = {
		.count = 2,
		.gpus = { gpu_of("VGPU", VWS, "Licensed"),
			  gpu_of("VGPU", VWS, "Unlicensed") },
	};

	(void)state;

	assert_false(license_all_held(&report, 2, 1));
	report.gpus[1] = gpu_of("None", "", NULL);
	assert_true(license_all_held(&report, 2, 1));
}

static void a_gpu_that_the_driver_does_not_show_is_not_licensed(void **state)
{
	static const struct {
		size_t shown, there;
		bool held;
	} cases[] = { { 1, 1, true },
		      { 1, 2, false },
		      { 0, 1, false },
		      { 0, 0, false },
		      { 2, 1, true } };
	const struct license_gpu licensed = gpu_of("VGPU", VWS, "Licensed");

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct license_report report = { .count = cases[i].shown,
						 .gpus = { licensed, licensed } };
		cleanup_json struct json *json =
			license_report_json(&report, cases[i].there, 1, NULL, 0);

		assert_int_equal(license_all_held(&report, cases[i].there, 1),
				 cases[i].held);
		assert_int_equal(json_get_bool(json, "licensed", !cases[i].held),
				 cases[i].held);
	}
	assert_false(license_all_held(NULL, 0, 1));
}

static void before_the_driver_answers_the_bus_tells_who_needs_a_license(void **state)
{
	static const struct {
		enum gpu_kind kind;
		int feature_type;
		bool offline, needed;
	} cases[] = {
		{ GPU_VGPU, 1, false, true },
		{ GPU_VGPU, 0, false, true },
		{ GPU_PASSTHROUGH, 0, false, false },
		{ GPU_PASSTHROUGH, 1, false, false },
		{ GPU_PASSTHROUGH, 2, false, true },
		{ GPU_PASSTHROUGH, 4, false, true },
		{ GPU_PASSTHROUGH, 1, true, true },
	};

	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct gpu_list list = { .count = 1,
					 .gpus = { { .kind = cases[i].kind } } };

		assert_int_equal(
			license_is_needed(&list, cases[i].feature_type, cases[i].offline),
			cases[i].needed);
	}
}

static char *print_report(const struct license_report *report,
			  const struct license_reason *reason)
{
	cleanup_json struct json *json =
		license_report_json(report, 1, 1, reason, 1795382600);

	assert_non_null(json);
	return json_print(json);
}

static void report_is_the_contracts_object(void **state)
{
	static struct license_report report = { .count = 1,
						.driver_version = "535.183.06" };
	const struct license_reason reason = { "pool_empty", "No pool \"features\"",
					       "ask" };
	cleanup_free char *text = NULL;

	(void)state;
	report.gpus[0] = gpu_of("VGPU", VWS, "Licensed (Expiry: 2026-7-7 16:1:44 GMT)");
	(void)text_copy(report.gpus[0].uuid, sizeof(report.gpus[0].uuid), "GPU-1");
	(void)text_copy(report.gpus[0].name, sizeof(report.gpus[0].name), "A\n\xff");
	report.gpus[0].feature_count = 2;
	license_read_status(span_of("Unlicensed (Unrestricted)"),
			    &report.gpus[0].features[1]);

	text = print_report(&report, &reason);

	assert_string_equal(
		text, "{\"schema\":1,\"timestamp\":\"2026-11-22T21:23:20Z\","
		      "\"driver_version\":\"535.183.06\",\"licensed\":true,\"gpus\":[{"
		      "\"id\":\"00000000:02:00.0\",\"uuid\":\"GPU-1\","
		      "\"name\":\"A\\n\xef\xbf\xbd\",\"virtualization\":\"VGPU\","
		      "\"features\":[{\"product\":\"" VWS "\","
		      "\"status\":\"Licensed (Expiry: 2026-7-7 16:1:44 GMT)\","
		      "\"state\":\"licensed\",\"expiry\":\"2026-07-07T16:01:44Z\","
		      "\"expiry_kind\":\"date\"},{\"product\":null,"
		      "\"status\":\"Unlicensed (Unrestricted)\","
		      "\"state\":\"unlicensed_unrestricted\",\"expiry\":null,"
		      "\"expiry_kind\":null}],\"needs_license\":true,\"licensed\":true}],"
		      "\"reason\":{\"code\":\"pool_empty\",\"message\":\"No pool "
		      "\\\"features\\\"\",\"hint\":\"ask\"}}");
}

/* The words of the contract, each for the driver's own. */
static const struct {
	const char *status, *state, *kind;
} words[] = {
	{ "Licensed", "licensed", NULL },
	{ "Unlicensed", "unlicensed", NULL },
	{ "Unlicensed (Unrestricted)", "unlicensed_unrestricted", NULL },
	{ "Unlicensed (Restricted)", "unlicensed_restricted", NULL },
	{ "N/A", "not_applicable", NULL },
	{ "Unknown", "unknown", NULL },
	{ "Licensed (Expiry: 2026-7-7 16:1:44 GMT)", "licensed", "date" },
	{ "Licensed (Expiry: Permanent)", "licensed", "permanent" },
	{ "Licensed (Expiry: N/A)", "licensed", "not_applicable" },
	{ "Licensed (Expiry: Not Available)", "licensed", "unavailable" },
	{ "Licensed (Expiry: ERR!)", "licensed", "error" },
};

static void states_and_kinds_have_the_contracts_words(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		struct license_report report = {
			.count = 1,
			.gpus = { gpu_of("VGPU", VWS, words[i].status) },
		};
		cleanup_json struct json *json =
			license_report_json(&report, 1, 1, NULL, 0);
		const struct json *gpu = json_at(json_get(json, "gpus"), 0);
		const struct json *feature = json_at(json_get(gpu, "features"), 0);
		const char *kind = json_get_string(feature, "expiry_kind");
		bool dated = words[i].kind && strcmp(words[i].kind, "date") == 0;

		assert_string_equal(json_get_string(feature, "state"), words[i].state);
		assert_int_equal(kind != NULL, words[i].kind != NULL);
		if (kind)
			assert_string_equal(kind, words[i].kind);
		assert_int_equal(json_get_string(feature, "expiry") != NULL, dated);
	}
}

static void nothing_read_is_not_licensed(void **state)
{
	cleanup_free char *text = print_report(NULL, NULL);

	(void)state;

	assert_string_equal(text, "{\"schema\":1,\"timestamp\":\"2026-11-22T21:23:20Z\","
				  "\"driver_version\":null,\"licensed\":false,"
				  "\"gpus\":[],\"reason\":null}");
}

/* They stand where values are, and say that something is broken: no license is judged. */
static void words_that_name_no_state_are_the_drivers_trouble(void **state)
{
	static const struct {
		const char *virtualization, *status;
		int feature_type;
		const char *hint; /* NULL: no trouble */
	} cases[] = {
		{ "GPU requires reset", "GPU requires reset", 1, "reset the GPU" },
		{ "VGPU", "GPU requires reset", 1, "reset the GPU" },
		{ "VGPU", "GPU is lost", 1, "reset the GPU" },
		{ "ERR!", "ERR!", 1, "reset the GPU" },
		{ "[Unknown Error]", "Unlicensed", 1, "reset the GPU" },
		{ "VGPU", "[Insufficient Permissions]", 1, "as root" },
		{ "VGPU", "Requested functionality has been deprecated", 1,
		  "newer vgpu-guest-agent" },
		{ "VGPU", "Pending", 1, "newer vgpu-guest-agent" },
		{ "Pass-Through", "ERR!", 2, "reset the GPU" },
		{ "Pass-Through", "ERR!", 1, NULL },
		{ "VGPU", "Unlicensed (Restricted)", 1, NULL },
		{ "vgpu", "Unlicensed", 1, NULL },
		{ "VGPU", "Unknown", 1, NULL },
		{ "VGPU", "N/A", 1, NULL },
		{ "VGPU", "Licensed", 1, NULL },
		{ "", "Unlicensed", 1, NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct license_report report = { .count = 1 };
		struct error err = ERROR_INIT;

		report.gpus[0] = gpu_of(cases[i].virtualization, VWS, cases[i].status);
		assert_int_equal(
			license_check_words(&report, cases[i].feature_type, &err),
			cases[i].hint ? -1 : 0);
		if (!cases[i].hint)
			continue;
		assert_int_equal(err.code, ERROR_DRIVER);
		assert_non_null(strstr(err.hint, cases[i].hint));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words_that_name_no_state_are_the_drivers_trouble),
		cmocka_unit_test(status_is_read_word_by_word),
		cmocka_unit_test(who_needs_a_license_and_who_has_one),
		cmocka_unit_test(one_unlicensed_vgpu_of_two_is_not_licensed),
		cmocka_unit_test(a_gpu_that_the_driver_does_not_show_is_not_licensed),
		cmocka_unit_test(
			before_the_driver_answers_the_bus_tells_who_needs_a_license),
		cmocka_unit_test(report_is_the_contracts_object),
		cmocka_unit_test(states_and_kinds_have_the_contracts_words),
		cmocka_unit_test(nothing_read_is_not_licensed),
	};

	return cmocka_run_group_tests_name("license", tests, NULL, NULL);
}
