/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * What is worth telling of two looks at the licenses, one after the other.
 */

#include <stddef.h>
#include <stdint.h>

#include "model/license/license.h"

#define EVENT_MAX (LICENSE_GPUS_MAX + 4)

enum event_kind {
	EVENT_LICENSED,   /* every GPU that needs a license has one */
	EVENT_UNLICENSED, /* some GPU needs a license and has none (any more) */
	EVENT_CHANGED,    /* the state of one GPU */
	EVENT_EXPIRING,   /* a license that is not renewed */
	EVENT_SILENT,     /* the driver gives no answer */
	EVENT_ANSWERS,    /* again */
};

struct event {
	enum event_kind kind;
	char text[256];
};

/* What the last looks showed. All zero: nothing yet. */
struct event_memory {
	bool known, silent;
	struct license_report report;
	struct event_lease {
		char gpu[32];
		int64_t expiry, longest; /* the longest time that was left of it */
		bool told;
	} leases[LICENSE_GPUS_MAX];
};

/*
 * Compares and remembers. `report` NULL: the driver gave no answer. Returns the number of
 * events, at most EVENT_MAX. A license is close to its expiry when three quarters of the
 * longest time that was left of it are gone: a working daemon renews it long before.
 */
size_t event_compare(struct event_memory *memory, const struct license_report *report,
		     int feature_type, int64_t now, struct event *ret_events);

/* Seconds until a license expires or comes close to that; `most` when later. */
int64_t event_next(const struct event_memory *memory, int64_t now, int64_t most);

/* How close a token is to its expiry: 0 far, then 30 days, a week, a day, expired. */
unsigned event_token_stage(int64_t left_s);
