/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doctor/doctor_rules.h"

#include <string.h>

struct doctor_cause *doctor_rules_add(struct doctor_causes *causes, const char *code,
				      bool certain)
{
	struct doctor_cause *cause =
		&causes->list[causes->count < DOCTOR_CAUSES_MAX ? causes->count
								: DOCTOR_CAUSES_MAX - 1];

	if (causes->count < DOCTOR_CAUSES_MAX)
		causes->count++;
	*cause = (struct doctor_cause){ .code = code, .certain = certain };
	return cause;
}

static bool came_no_further(const struct doctor_facts *facts, const char *step)
{
	static const char *const steps[] = {
		"detect", "metadata", "match",     "fetch", "unpack",
		"build",  "install",  "configure", "token",
	};

	for (size_t i = 0; facts->failed_step[0] && i < ARRAY_SIZE(steps); i++) {
		if (strcmp(steps[i], facts->failed_step) == 0)
			return true;
		if (strcmp(steps[i], step) == 0)
			break;
	}
	return false;
}

void doctor_rules_after_run(const struct doctor_facts *facts, const char *step,
			    struct doctor_cause *cause)
{
	size_t used = strlen(cause->message);

	if (!came_no_further(facts, step))
		return;
	(void)text_format(cause->message + used, sizeof(cause->message) - used,
			  "; the last run ended in %s: %s", facts->failed_step,
			  facts->failed);
	if (facts->failed_hint[0])
		(void)text_copy(cause->hint, sizeof(cause->hint), facts->failed_hint);
}
