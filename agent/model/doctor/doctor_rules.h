/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * The rules of model/doctor/doctor.h: each adds the causes that its part of the findings
 * shows.
 */

#include "base/text.h"
#include "model/doctor/doctor.h"

/* A new cause without words; where there are too many, the last one anew. */
struct doctor_cause *doctor_rules_add(struct doctor_causes *causes, const char *code,
				      bool certain);

/* Its words, cut where they are too long. */
#define say(cause, ...) \
	((void)text_format((cause)->message, sizeof((cause)->message), __VA_ARGS__))
#define advise(cause, ...) \
	((void)text_format((cause)->hint, sizeof((cause)->hint), __VA_ARGS__))

/*
 * For a cause that a run mends by `step`: where the last one failed there, or came no
 * further, the cause's words and advice become what that run said. To advise it again
 * would help nobody.
 */
void doctor_rules_after_run(const struct doctor_facts *facts, const char *step,
			    struct doctor_cause *cause);

void doctor_driver_judge(const struct doctor_facts *facts, struct doctor_causes *causes);
void doctor_license_judge(const struct doctor_facts *facts, struct doctor_causes *causes);
void doctor_denied_judge(const struct doctor_facts *facts, struct doctor_causes *causes);

/* The words and the advice of "mac_denied": who denies, and the denial; "": none seen. */
void doctor_denied_tell(const char *by, const char *denial, struct doctor_cause *cause);

/* Something is wrong and no rule says what. */
void doctor_license_unexplained(const struct doctor_facts *facts,
				struct doctor_causes *causes);
