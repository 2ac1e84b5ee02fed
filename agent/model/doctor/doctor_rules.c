/* SPDX-License-Identifier: Apache-2.0 */
#include "model/doctor/doctor_rules.h"

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
