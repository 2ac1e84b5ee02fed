/* SPDX-License-Identifier: Apache-2.0 */
#include "model/outcome.h"

const char *outcome_kind_name(enum outcome_kind kind)
{
	static const char *const names[] = {
		[OUTCOME_PENDING] = "pending", [OUTCOME_UNCHANGED] = "unchanged",
		[OUTCOME_CHANGED] = "changed", [OUTCOME_SKIPPED] = "skipped",
		[OUTCOME_FAILED] = "failed",
	};

	return (size_t)kind < ARRAY_SIZE(names) ? names[kind] : "unknown";
}
