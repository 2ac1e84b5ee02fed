/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/retry.h"

#define SLOW_LIMIT 2
#define GROWTH_MAX 24.0 /* 120 s at the base of 5 s */
#define AFTER_MAX_S 600.0

enum retry_class retry_class_of(long status)
{
	switch (status) {
	case 408:
	case 425:
	case 429:
	case 500:
	case 502:
	case 503:
	case 504:
		return RETRY_SOON;
	case 403: /* Pulp: a guard's answer may be cached */
	case 404: /* Pulp: also what an on-demand origin that is down looks like */
	case 412:
		return RETRY_SLOW;
	default:
		return RETRY_NEVER;
	}
}

bool retry_next(struct retry *retry, enum retry_class class, double after_s,
		double chance, double *ret_seconds)
{
	unsigned limit = class == RETRY_SLOW && retry->limit > SLOW_LIMIT ? SLOW_LIMIT
									  : retry->limit;
	double growth = class == RETRY_SLOW ? 4.0 : 1.0;

	if (class == RETRY_NEVER || retry->failures >= limit)
		return false;

	for (unsigned i = 0; i < retry->failures && growth < GROWTH_MAX; i++)
		growth *= 2;
	if (growth > GROWTH_MAX)
		growth = GROWTH_MAX;
	if (!(after_s > 0))
		after_s = 0;

	retry->failures++;
	*ret_seconds = chance * growth * retry->base_ms / 1000.0 +
		       (after_s < AFTER_MAX_S ? after_s : AFTER_MAX_S);
	return true;
}

void retry_progress(struct retry *retry)
{
	retry->failures = 0;
}
