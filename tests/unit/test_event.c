/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/event.h"

#include <string.h>

#include "support/cmocka.h"

#define NOW 1795382600 /* 2026-11-22T21:23:20Z */

static struct event_memory memory;
static struct event events[EVENT_MAX];
static size_t count;

static int forget(void **state)
{
	(void)state;
	memset(&memory, 0, sizeof(memory));
	return 0;
}

/* One vGPU with this status; NULL: the driver is silent. Returns the only event or -1. */
static int look(const char *status, int64_t now)
{
	static struct license_report report;
	struct license_gpu *gpu = &report.gpus[0];

	memset(&report, 0, sizeof(report));
	report.count = 1;
	(void)snprintf(gpu->id, sizeof(gpu->id), "00000000:02:00.0");
	(void)snprintf(gpu->virtualization, sizeof(gpu->virtualization), "VGPU");
	gpu->feature_count = 1;
	if (status)
		license_read_status(span_of(status), &gpu->features[0]);

	count = event_compare(&memory, status ? &report : NULL, 1, now, events);
	assert_true(count <= 1);
	return count ? (int)events[0].kind : -1;
}

static void each_change_is_told_once(void **state)
{
	static const struct {
		const char *status;
		int event;
	} looks[] = {
		{ "Unlicensed (Unrestricted)", EVENT_UNLICENSED },
		{ "Unlicensed (Unrestricted)", -1 },
		{ "Unlicensed (Restricted)", EVENT_CHANGED },
		{ "Licensed", EVENT_LICENSED },
		{ "Licensed", -1 },
		{ "Unlicensed", EVENT_UNLICENSED },
		{ NULL, EVENT_SILENT },
		{ NULL, -1 },
		{ "Unlicensed", EVENT_ANSWERS },
		{ "Unlicensed", -1 },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(looks); i++) {
		int event = look(looks[i].status, NOW);

		if (event != looks[i].event)
			fail_msg("look %zu: %d instead of %d", i, event, looks[i].event);
	}
}

static void a_loss_names_the_gpu_and_the_drivers_words(void **state)
{
	(void)state;
	(void)look("Licensed", NOW);
	assert_int_equal(look("Unlicensed (Restricted)", NOW), EVENT_UNLICENSED);

	assert_string_equal(events[0].text,
			    "GPU 00000000:02:00.0: Unlicensed (Restricted)");
}

static void a_renewal_is_no_event(void **state)
{
	(void)state;
	(void)look("Licensed (Expiry: 2026-11-23 21:23:20 GMT)", NOW);

	assert_int_equal(look("Licensed (Expiry: 2026-11-24 3:23:20 GMT)", NOW + 21600),
			 -1);
}

static void a_license_that_is_not_renewed_is_told_before_its_end(void **state)
{
	static const char status[] = "Licensed (Expiry: 2026-11-23 21:23:20 GMT)";

	(void)state;
	(void)look(status, NOW);
	assert_int_equal(look(status, NOW + 64799), -1);
	assert_int_equal(look(status, NOW + 64800), EVENT_EXPIRING);
	assert_int_equal(look(status, NOW + 64801), -1);
}

static void the_next_look_is_at_the_time_that_matters(void **state)
{
	static const char status[] = "Licensed (Expiry: 2026-11-23 21:23:20 GMT)";

	(void)state;
	assert_int_equal(event_next(&memory, NOW, 60), 60);
	(void)look(status, NOW);
	assert_int_equal(event_next(&memory, NOW, 60), 60);
	assert_int_equal(event_next(&memory, NOW, 86400), 64800);
	assert_int_equal(event_next(&memory, NOW + 64790, 60), 10);
	(void)look(status, NOW + 64800);
	assert_int_equal(event_next(&memory, NOW + 86390, 60), 11);
	assert_int_equal(event_next(&memory, NOW + 90000, 60), 60);
}

static void a_gpu_that_needs_no_license_is_no_event(void **state)
{
	static struct license_report report;

	(void)state;
	report.count = 1;
	(void)snprintf(report.gpus[0].virtualization,
		       sizeof(report.gpus[0].virtualization), "Pass-Through");

	assert_int_equal(event_compare(&memory, &report, 1, NOW, events), 0);
}

static void sixty_four_gpus_that_all_change_have_room(void **state)
{
	static struct license_report report;

	(void)state;
	report.count = LICENSE_GPUS_MAX;
	for (size_t i = 0; i < report.count; i++) {
		(void)snprintf(report.gpus[i].id, sizeof(report.gpus[i].id), "%zu", i);
		(void)snprintf(report.gpus[i].virtualization,
			       sizeof(report.gpus[i].virtualization), "VGPU");
		report.gpus[i].feature_count = 1;
		license_read_status(span_of("Unlicensed"), &report.gpus[i].features[0]);
	}
	assert_int_equal(event_compare(&memory, &report, 1, NOW, events), 1);
	for (size_t i = 0; i < report.count; i++)
		license_read_status(span_of("Licensed (Expiry: 2026-11-22 21:23:21 GMT)"),
				    &report.gpus[i].features[0]);

	assert_true(event_compare(&memory, &report, 1, NOW + 1, events) <= EVENT_MAX);
}

static void a_token_comes_closer_in_stages(void **state)
{
	(void)state;
	assert_int_equal(event_token_stage(31 * 86400), 0);
	assert_int_equal(event_token_stage(30 * 86400), 1);
	assert_int_equal(event_token_stage(7 * 86400), 2);
	assert_int_equal(event_token_stage(86400), 3);
	assert_int_equal(event_token_stage(0), 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(each_change_is_told_once, forget),
		cmocka_unit_test_setup(a_loss_names_the_gpu_and_the_drivers_words,
				       forget),
		cmocka_unit_test_setup(a_renewal_is_no_event, forget),
		cmocka_unit_test_setup(
			a_license_that_is_not_renewed_is_told_before_its_end, forget),
		cmocka_unit_test_setup(the_next_look_is_at_the_time_that_matters, forget),
		cmocka_unit_test_setup(a_gpu_that_needs_no_license_is_no_event, forget),
		cmocka_unit_test_setup(sixty_four_gpus_that_all_change_have_room, forget),
		cmocka_unit_test_setup(a_token_comes_closer_in_stages, forget),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
