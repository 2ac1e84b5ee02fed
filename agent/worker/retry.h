/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * When to ask again: by the class of what went wrong, with full jitter, so that a fleet
 * that failed together does not come back together.
 */

#include <stdbool.h>

enum retry_class {
	RETRY_NEVER,
	RETRY_SLOW, /* few tries, far apart: a publication may lag, an origin be down */
	RETRY_SOON,
};

struct retry {
	unsigned limit;   /* tries after the first one without progress in between */
	unsigned base_ms; /* of the growing interval; 5000 but in tests */
	unsigned failures;
};

/* The class of an HTTP status that is not what was asked for. */
enum retry_class retry_class_of(long status);

/*
 * One more failure. True, with the seconds to sleep, when it is worth another try: a
 * random part (`chance`, 0 to 1) of an interval that doubles up to 24 times the base, and
 * the server's Retry-After, at most 10 minutes of it.
 */
bool retry_next(struct retry *retry, enum retry_class class, double after_s,
		double chance, double *ret_seconds);

/* Bytes came: the failures before are forgotten. */
void retry_progress(struct retry *retry);
