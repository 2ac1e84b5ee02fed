/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/retry.h"

#define SLOW_LIMIT 2
#define GROWTH_MAX 24.0 /* 120 s at the base of 5 s */
#define AFTER_MAX_S 600.0
#define PATIENCE 90.0 /* intervals for each try of the limit: 8 of 5 s are an hour */

enum retry_class retry_class_of(long status)
{
	switch (status) {
	case 408:
	case 425:
	case 500:
	case 502:
	case 504:
		return RETRY_SOON;
	case 429:
	case 503:
		return RETRY_BUSY;
	case 403: /* Pulp: a guard's answer may be cached */
	case 404: /* Pulp: also what an on-demand origin that is down looks like */
	case 412:
		return RETRY_SLOW;
	default:
		return RETRY_NEVER;
	}
}

static double interval_of(const struct retry *retry, enum retry_class class)
{
	double growth = class == RETRY_SLOW ? 4.0 : 1.0;

	for (unsigned i = 0; i < retry->grown && growth < GROWTH_MAX; i++)
		growth *= 2;
	return growth < GROWTH_MAX ? growth : GROWTH_MAX;
}

/* Whether another try, `mean` intervals from now, is worth it; then it is counted. */
static bool allow(struct retry *retry, enum retry_class class, double mean)
{
	unsigned limit = class == RETRY_SLOW && retry->limit > SLOW_LIMIT ? SLOW_LIMIT
									  : retry->limit;

	if (class == RETRY_BUSY) {
		if (retry->patience >= PATIENCE * limit)
			return false;
		retry->patience += mean;
		retry->failures = 0;
		return true;
	}
	if (class == RETRY_NEVER || retry->failures >= limit)
		return false;
	retry->failures++;
	return true;
}

bool retry_next(struct retry *retry, enum retry_class class, double after_s,
		double chance, double *ret_seconds)
{
	double base_s = retry->base_ms / 1000.0;
	double spread = interval_of(retry, class) * base_s;

	if (!(after_s > 0))
		after_s = 0;
	if (after_s > AFTER_MAX_S)
		after_s = AFTER_MAX_S;
	if (spread < after_s)
		spread = after_s;
	if (!allow(retry, class, (after_s + spread / 2) / base_s))
		return false;

	retry->grown++;
	*ret_seconds = after_s + chance * spread;
	return true;
}

void retry_progress(struct retry *retry)
{
	retry->failures = 0;
	retry->grown = 0;
	retry->patience = 0;
}
