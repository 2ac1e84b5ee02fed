/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/metrics.h"

#include <string.h>

#include "model/license/smi.h"
#include "support/cmocka.h"
#include "support/smi_report.h"

static void read_sample(const char *name, struct license_report *report)
{
	char *text = smi_report_sample(name);
	struct error err = ERROR_INIT;

	assert_int_equal(smi_parse(span_of(text), report, &err), 0);
	free(text);
}

static struct license_report one_vgpu(void)
{
	struct license_report report = { .driver_version = "550.90.07", .count = 1 };

	(void)snprintf(report.gpus[0].id, sizeof(report.gpus[0].id), "00000000:02:00.0");
	(void)snprintf(report.gpus[0].virtualization,
		       sizeof(report.gpus[0].virtualization), "VGPU");
	return report;
}

static void add_feature(struct license_report *report, const char *product,
			const char *status)
{
	struct license_gpu *gpu = &report->gpus[0];
	struct license_feature *feature = &gpu->features[gpu->feature_count++];

	(void)snprintf(feature->product, sizeof(feature->product), "%s", product);
	license_read_status(span_of(status), feature);
}

static char *print(const struct license_report *report)
{
	struct metrics metrics = {
		.report = report,
		.feature_type = 1,
		.host_version = "550.90.05",
		.polled = 1795382600,
		.poll_errors = 3,
	};
	char *text = metrics_print(&metrics);

	assert_non_null(text);
	return text;
}

static void assert_line(const char *text, const char *line)
{
	char whole[256];

	(void)snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (!strstr(text, whole))
		fail_msg("no line %s in:\n%s", line, text);
}

static void a_licensed_gpu_has_its_expiry(void **state)
{
	static struct license_report report;
	char *text;

	(void)state;
	read_sample("510-vgpu-licensed.txt", &report);
	text = print(&report);

	assert_line(text,
		    "vgpu_license_licensed{gpu=\"00000000:02:01.0\",product=\"NVIDIA "
		    "Virtual Compute Server\"} 1");
	assert_line(text,
		    "vgpu_license_expiry_timestamp_seconds{gpu=\"00000000:02:01.0\","
		    "product=\"NVIDIA Virtual Compute Server\"} 1653610108");
	assert_line(text, "vgpu_driver_info{version=\"510.47.03\",host_version="
			  "\"550.90.05\"} 1");
	assert_line(text, "vgpu_agent_last_poll_timestamp_seconds 1795382600");
	assert_non_null(strstr(text, "\nvgpu_agent_poll_errors_total 3\n"));
	free(text);
}

static void a_gpu_without_need_is_not_counted(void **state)
{
	static struct license_report report;
	char *text;

	(void)state;
	read_sample("580-passthrough.txt", &report);
	text = print(&report);

	assert_null(strstr(text, "vgpu_license_licensed{"));
	free(text);
}

static void a_vgpu_without_license_section_is_unlicensed(void **state)
{
	struct license_report report = one_vgpu();
	char *text;

	(void)state;
	text = print(&report);

	assert_line(text,
		    "vgpu_license_licensed{gpu=\"00000000:02:00.0\",product=\"\"} 0");
	free(text);
}

static void quote_newline_backslash_and_bad_bytes_are_escaped(void **state)
{
	struct license_report report = one_vgpu();
	char *text;

	(void)state;
	add_feature(&report, "a\"b\nc\\d\xff", "Licensed");
	text = print(&report);

	assert_line(text, "vgpu_license_licensed{gpu=\"00000000:02:00.0\","
			  "product=\"a\\\"b\\nc\\\\d\xef\xbf\xbd\"} 1");
	free(text);
}

static void no_two_lines_have_the_same_labels(void **state)
{
	struct license_report report = one_vgpu();
	const char *first;
	char *text;

	(void)state;
	add_feature(&report, "NVIDIA Virtual PC", "Unlicensed");
	add_feature(&report, "NVIDIA Virtual PC", "Licensed");
	add_feature(&report, "NVIDIA Virtual PC", "Licensed");
	text = print(&report);

	first = strstr(text, "vgpu_license_licensed{");
	assert_non_null(first);
	assert_null(strstr(first + 1, "vgpu_license_licensed{"));
	assert_non_null(strstr(first, "} 1\n"));
	free(text);
}

static void the_products_that_are_not_used_are_no_complaint(void **state)
{
	struct license_report report = one_vgpu();
	char *text;

	(void)state;
	add_feature(&report, "NVIDIA RTX Virtual Workstation", "Licensed");
	add_feature(&report, "NVIDIA Virtual PC", "N/A");
	text = print(&report);

	assert_null(strstr(text, "} 0\n"));
	free(text);
}

static void a_driver_without_answer_leaves_only_the_agents_own(void **state)
{
	char *text;

	(void)state;
	text = print(NULL);

	assert_null(strstr(text, "vgpu_driver_info{"));
	assert_null(strstr(text, "vgpu_license_licensed{"));
	assert_non_null(strstr(text, "\nvgpu_agent_poll_errors_total 3\n"));
	free(text);
}

static void the_steps_of_the_last_run_are_there(void **state)
{
	cleanup_json struct json *steps = json_build(
		"{s:{s:f}, s:{s:f}}", "fetch", "seconds", 1.25, "build", "seconds", 60.0);
	struct metrics metrics = { .host_version = "", .steps = steps };
	char *text;

	(void)state;
	text = metrics_print(&metrics);

	assert_non_null(text);
	assert_line(text, "vgpu_agent_run_step_seconds{step=\"fetch\"} 1.250");
	assert_line(text, "vgpu_agent_run_step_seconds{step=\"build\"} 60.000");
	free(text);
}

/* The samples that say which guest is silent, failed or old: there before any driver. */
static void the_agents_own_are_there_without_a_driver(void **state)
{
	struct metrics metrics = {
		.host_version = "",
		.agent_version = "1.2.3",
		.gpus = 2,
		.reason = "token_expired",
		.token_expires = 1795382601,
		.run_at = 1795382600,
		.run_status = 5,
		.run_step = "fetch",
		.run_name = "network",
		.repository = "pulp.example",
	};
	static const char *const lines[] = {
		"vgpu_agent_info{version=\"1.2.3\"} 1",
		"vgpu_gpus 2",
		"vgpu_agent_run_status{step=\"fetch\",name=\"network\"} 5",
		"vgpu_agent_run_timestamp_seconds 1795382600",
		"vgpu_agent_repository_info{host=\"pulp.example\"} 1",
		"vgpu_token_expiry_timestamp_seconds 1795382601",
		"vgpu_license_reason{code=\"token_expired\"} 1",
	};
	char *text;

	(void)state;
	text = metrics_print(&metrics);

	assert_non_null(text);
	for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
		assert_line(text, lines[i]);
	free(text);
}

static void what_is_not_known_has_no_sample(void **state)
{
	static const char *const names[] = { "vgpu_agent_run_status{",
					     "\nvgpu_agent_run_timestamp_seconds ",
					     "\nvgpu_token_expiry_timestamp_seconds ",
					     "vgpu_license_reason{",
					     "vgpu_agent_repository_info{" };
	char *text;

	(void)state;
	text = print(NULL);

	for (size_t i = 0; i < ARRAY_SIZE(names); i++)
		assert_null(strstr(text, names[i]));
	assert_line(text, "vgpu_gpus 0");
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_licensed_gpu_has_its_expiry),
		cmocka_unit_test(a_gpu_without_need_is_not_counted),
		cmocka_unit_test(a_vgpu_without_license_section_is_unlicensed),
		cmocka_unit_test(quote_newline_backslash_and_bad_bytes_are_escaped),
		cmocka_unit_test(no_two_lines_have_the_same_labels),
		cmocka_unit_test(the_products_that_are_not_used_are_no_complaint),
		cmocka_unit_test(a_driver_without_answer_leaves_only_the_agents_own),
		cmocka_unit_test(the_steps_of_the_last_run_are_there),
		cmocka_unit_test(the_agents_own_are_there_without_a_driver),
		cmocka_unit_test(what_is_not_known_has_no_sample),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
