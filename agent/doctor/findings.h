/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Looks at everything that the doctor judges; changes nothing.
 */

#include "core/guest.h"
#include "model/doctor/doctor.h"
#include "steps/license/gridd.h"

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
void findings_of_daemon(const struct context *ctx, const struct gridd_state *daemon,
			struct doctor_facts *facts, struct doctor_notes *notes,
			struct json **ret_check);

/* All of it. The driver's own words go to `ret_report`, count 0 where it gives none. */
must_check int findings_gather(const struct context *ctx, const struct guest *guest,
			       struct license_report *ret_report,
			       struct doctor_facts *ret_facts,
			       struct doctor_notes *ret_notes, struct error *err);
