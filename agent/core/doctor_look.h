/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looks at everything that the doctor judges; changes nothing.
 */

#include "core/agent.h"
#include "model/doctor.h"

/* What only the list of checks tells. */
struct doctor_notes {
	bool token_denied, conf_denied; /* for want of root */
	bool conf_exists;
	bool clock_synchronized;
};

must_check int doctor_look_facts(struct agent *agent, struct doctor_facts *ret_facts,
				 struct doctor_notes *ret_notes, struct error *err);
