/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looks at everything that the doctor judges; changes nothing.
 */

#include "commands/agent.h"
#include "model/doctor.h"
#include "steps/gridd.h"

/* What only the list of checks tells. */
struct doctor_notes {
	bool token_denied, conf_denied; /* for want of root */
	bool conf_exists;
	bool clock_synchronized;
};

/*
 * The part that asks nobody: the daemon (NULL: systemd could not be asked), its journal,
 * gridd.conf and the token, whose check is handed on where `ret_check` is not NULL.
 */
void findings_of_daemon(const struct agent *agent, const struct gridd_state *daemon,
			struct doctor_facts *facts, struct doctor_notes *notes,
			struct json **ret_check);

must_check int findings_gather(struct agent *agent, struct doctor_facts *ret_facts,
			       struct doctor_notes *ret_notes, struct error *err);
