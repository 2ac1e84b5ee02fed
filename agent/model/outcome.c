/* SPDX-License-Identifier: Apache-2.0 */
#include "model/outcome.h"

#include "base/text.h"

const char *outcome_kind_name(enum outcome_kind kind)
{
	static const char *const names[] = {
		[OUTCOME_PENDING] = "pending", [OUTCOME_UNCHANGED] = "unchanged",
		[OUTCOME_CHANGED] = "changed", [OUTCOME_SKIPPED] = "skipped",
		[OUTCOME_FAILED] = "failed",
	};

	return (size_t)kind < ARRAY_SIZE(names) ? names[kind] : "unknown";
}

void outcome_skip(struct outcome *outcome, const char *why)
{
	outcome->kind = OUTCOME_SKIPPED;
	(void)text_copy(outcome->detail, sizeof(outcome->detail), why);
}

void outcome_tell(struct outcome *outcome, bool changed, const char *what)
{
	outcome->kind = changed ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	(void)text_copy(outcome->detail, sizeof(outcome->detail), what);
}
