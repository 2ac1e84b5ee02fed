/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/freshness.h"

#include "base/clock.h"
#include "base/log.h"

static int judge_serial(const struct context *ctx, const struct repository *repository,
			const struct state *state, struct error *err)
{
	int64_t serial = repository->index->serial;
	int64_t last = state_serial(state, repository->index_key);
	int64_t least = ctx->settings.driver.index_min_serial;

	if (serial < last) {
		(void)error_set(err, ERROR_INTEGRITY,
				INDEX_FILE " has the serial %lld, its key has signed "
					   "%lld before: this is an old one",
				(long long)serial, (long long)last);
		return error_hint(err, "publish the last one, or one that was made with "
				       "--previous of it");
	}
	if (serial < least) {
		(void)error_set(err, ERROR_INTEGRITY,
				INDEX_FILE " has the serial %lld, and "
					   "driver.index_min_serial is %lld",
				(long long)serial, (long long)least);
		return error_hint(err, "publish the last one");
	}
	return 0;
}

static int judge_expiry(const struct index *index, struct error *err)
{
	int64_t expires;

	if (!index->expires[0])
		return 0;
	if (!clock_read(index->expires, &expires))
		return error_set(err, ERROR_INTEGRITY,
				 INDEX_FILE ": \"expires\" is no time like "
					    "2027-01-31T00:00:00Z");
	if (clock_now() < expires)
		return 0;
	/* At the first boot the clock may be years wrong, in both directions. */
	if (!clock_is_synchronized()) {
		log_line(LOG_LEVEL_WARNING,
			 "warning: match: " INDEX_FILE " expired on %s, by a clock that "
			 "is not known to be right",
			 index->expires);
		return 0;
	}
	(void)error_set(err, ERROR_INTEGRITY, INDEX_FILE " expired on %s",
			index->expires);
	return error_hint(err, "publish a new one; if the clock is wrong, set it");
}

int freshness_judge(const struct context *ctx, const struct repository *repository,
		    struct state *state, struct error *err)
{
	struct error why = ERROR_INIT;

	if (judge_serial(ctx, repository, state, err) < 0 ||
	    judge_expiry(repository->index, err) < 0)
		return -1;
	if (!state_raise_serial(state, repository->index_key, repository->index->serial))
		return 0;
	if (ctx->job && !(ctx->job & JOB_APART) &&
	    state_save(&ctx->root, state, &why) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: match: %s", why.text);
	return 0;
}
