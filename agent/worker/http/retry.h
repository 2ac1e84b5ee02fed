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
	RETRY_BUSY, /* the server is there and asks for patience: counted in time */
};

struct retry {
	unsigned limit;   /* tries after the first one without progress in between */
	unsigned base_ms; /* of the growing interval; 5000 but in tests */
	unsigned failures;
	unsigned grown;  /* how often the interval has doubled */
	double patience; /* used up by answers of a busy server, in intervals */
};

/* The class of an HTTP status that is not what was asked for. */
enum retry_class retry_class_of(long status);

/*
 * One more failure. True, with the seconds to sleep, when it is worth another try: a
 * random part (`chance`, 0 to 1) of an interval that doubles up to 24 times the base, on
 * top of the server's Retry-After, at most 10 minutes of it. The interval is no shorter
 * than that Retry-After: those who got the same one at once spread over as long again.
 *
 * A thousand guests that boot together may be told to wait forty times: a busy server
 * uses up patience, an hour of it at the usual settings, and no tries; that it answers at
 * all takes back the tries that failed to reach it.
 */
bool retry_next(struct retry *retry, enum retry_class class, double after_s,
		double chance, double *ret_seconds);

/* Bytes came: the failures before are forgotten. */
void retry_progress(struct retry *retry);
