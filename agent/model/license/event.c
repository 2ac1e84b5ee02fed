/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/event.h"

#include <string.h>

#include "base/text.h"

#define DAY_S INT64_C(86400)

static struct event *add_event(struct event *events, size_t *count, enum event_kind kind)
{
	struct event *event = &events[(*count)++];

	*event = (struct event){ .kind = kind };
	return event;
}

/* The feature that speaks for the GPU: a licensed one, else the first; NULL: none. */
static const struct license_feature *main_feature(const struct license_gpu *gpu)
{
	for (size_t i = 0; i < gpu->feature_count; i++) {
		if (gpu->features[i].state == LICENSE_LICENSED)
			return &gpu->features[i];
	}
	return gpu->feature_count ? &gpu->features[0] : NULL;
}

static const char *words_of(const struct license_gpu *gpu)
{
	const struct license_feature *feature = main_feature(gpu);

	return feature ? feature->status : "no license section";
}

static const struct license_gpu *find_gpu(const struct license_report *report,
					  const char *id)
{
	for (size_t i = 0; i < report->count; i++) {
		if (strcmp(report->gpus[i].id, id) == 0)
			return &report->gpus[i];
	}
	return NULL;
}

/* Another date of expiry is no other state. */
static bool is_same_state(const struct license_gpu *a, const struct license_gpu *b)
{
	const struct license_feature *of_a = main_feature(a), *of_b = main_feature(b);

	if (!of_a || !of_b)
		return of_a == of_b;
	return of_a->state == of_b->state && strcmp(of_a->product, of_b->product) == 0;
}

static const struct license_gpu *first_without(const struct license_report *report,
					       int feature_type)
{
	for (size_t i = 0; i < report->count; i++) {
		if (license_needed(&report->gpus[i], feature_type) &&
		    !license_held(&report->gpus[i]))
			return &report->gpus[i];
	}
	return NULL;
}

static bool any_needs(const struct license_report *report, int feature_type)
{
	for (size_t i = 0; i < report->count; i++) {
		if (license_needed(&report->gpus[i], feature_type))
			return true;
	}
	return false;
}

/* Whether the whole guest is licensed has changed, or is seen for the first time. */
static bool compare_whole(const struct event_memory *memory,
			  const struct license_report *report, int feature_type,
			  struct event *events, size_t *count)
{
	const struct license_gpu *without = first_without(report, feature_type);
	bool was = !first_without(&memory->report, feature_type);
	struct event *event;

	if (memory->known ? was == !without : !any_needs(report, feature_type))
		return false;
	event = add_event(events, count, without ? EVENT_UNLICENSED : EVENT_LICENSED);
	if (without)
		(void)text_format(event->text, sizeof(event->text), "GPU %s: %s",
				  without->id, words_of(without));
	else
		(void)text_copy(event->text, sizeof(event->text),
				"every GPU that needs a license has one");
	return true;
}

static void compare_each(const struct event_memory *memory,
			 const struct license_report *report, struct event *events,
			 size_t *count)
{
	for (size_t i = 0; i < report->count; i++) {
		const struct license_gpu *now = &report->gpus[i];
		const struct license_gpu *then = find_gpu(&memory->report, now->id);
		struct event *event;

		if (then && is_same_state(now, then))
			continue;
		event = add_event(events, count, EVENT_CHANGED);
		(void)text_format(event->text, sizeof(event->text), "GPU %s: %s; was: %s",
				  now->id, words_of(now),
				  then ? words_of(then) : "not there");
	}
}

static struct event_lease *lease_of(struct event_memory *memory, const char *gpu)
{
	size_t i = 0;

	while (i < LICENSE_GPUS_MAX - 1 && memory->leases[i].gpu[0] &&
	       strcmp(memory->leases[i].gpu, gpu) != 0)
		i++;
	if (strcmp(memory->leases[i].gpu, gpu) != 0) {
		memory->leases[i] = (struct event_lease){ .expiry = 0 };
		(void)text_copy(memory->leases[i].gpu, sizeof(memory->leases[i].gpu),
				gpu);
	}
	return &memory->leases[i];
}

/*
 * Tells once for each lease when three quarters of the longest time that was left of it
 * are gone: the daemon renews a lease long before.
 */
static void compare_lease(struct event_memory *memory, const struct license_gpu *gpu,
			  int64_t now, struct event *events, size_t *count)
{
	const struct license_feature *feature = main_feature(gpu);
	struct event_lease *lease;
	struct event *event;
	int64_t left;

	if (!feature || feature->state != LICENSE_LICENSED ||
	    feature->expiry_kind != LICENSE_EXPIRY_DATE)
		return;
	lease = lease_of(memory, gpu->id);
	left = feature->expiry - now;
	if (lease->expiry != feature->expiry) {
		lease->expiry = feature->expiry;
		lease->longest = left;
		lease->told = false;
	}
	if (lease->told || left > lease->longest / 4)
		return;

	lease->told = true;
	event = add_event(events, count, EVENT_EXPIRING);
	(void)text_format(event->text, sizeof(event->text),
			  "GPU %s: the license ends in %lld s and was not renewed: %s",
			  gpu->id, (long long)(left > 0 ? left : 0), feature->status);
}

size_t event_compare(struct event_memory *memory, const struct license_report *report,
		     int feature_type, int64_t now, struct event *ret_events)
{
	size_t count = 0;

	if (!report) {
		if (!memory->silent)
			(void)text_copy(add_event(ret_events, &count, EVENT_SILENT)->text,
					sizeof(ret_events->text),
					"the driver gives no answer");
		memory->silent = true;
		return count;
	}
	if (memory->silent)
		(void)text_copy(add_event(ret_events, &count, EVENT_ANSWERS)->text,
				sizeof(ret_events->text), "the driver answers again");

	if (!compare_whole(memory, report, feature_type, ret_events, &count) &&
	    memory->known)
		compare_each(memory, report, ret_events, &count);
	for (size_t i = 0; i < report->count; i++) {
		if (count < EVENT_MAX && license_needed(&report->gpus[i], feature_type))
			compare_lease(memory, &report->gpus[i], now, ret_events, &count);
	}

	memory->known = true;
	memory->silent = false;
	memory->report = *report;
	return count;
}

int64_t event_next(const struct event_memory *memory, int64_t now, int64_t most)
{
	for (size_t i = 0; i < LICENSE_GPUS_MAX && memory->leases[i].gpu[0]; i++) {
		const struct event_lease *lease = &memory->leases[i];
		int64_t close = lease->expiry - lease->longest / 4;
		int64_t left = (lease->told ? lease->expiry + 1 : close) - now;

		/* What is over was seen, or will be at the next look. */
		if (left >= 0 && left < most)
			most = left;
	}
	return most;
}

unsigned event_token_stage(int64_t left_s)
{
	if (left_s <= 0)
		return 4;
	if (left_s <= DAY_S)
		return 3;
	if (left_s <= 7 * DAY_S)
		return 2;
	return left_s <= 30 * DAY_S ? 1 : 0;
}
