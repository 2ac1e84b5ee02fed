/* SPDX-License-Identifier: Apache-2.0 */

/* The part of model/doctor/doctor_rules.h about who denies what root may do. */

#include <string.h>

#include "model/doctor/doctor_rules.h"

/*
 * That one of them enforces is so on each guest of the RHEL family: a denial that was
 * logged, or what nvidia-smi was told, must show that it is the cause.
 */
void doctor_denied_judge(const struct doctor_facts *facts, struct doctor_causes *causes)
{
	bool told = strstr(facts->smi_error, "Permission denied") ||
		    strstr(facts->smi_error, "Operation not permitted");
	struct doctor_cause *cause;

	if (!facts->denier[0] || (!facts->denial[0] && !told))
		return;
	cause = doctor_rules_add(causes, "mac_denied", facts->denial[0] != '\0');
	doctor_denied_tell(facts->denier, facts->denial, cause);
}

void doctor_denied_tell(const char *by, const char *denial, struct doctor_cause *cause)
{
	if (denial[0])
		say(cause, "%s denied what the driver needs: %s", by, denial);
	else
		say(cause, "%s enforces and may have denied what the driver needs", by);
	if (strcmp(by, "SELinux") == 0)
		advise(cause,
		       "give the files their labels: restorecon -R /usr /etc /var "
		       "/lib/modules; then run again; if it stays: ausearch -m AVC -ts "
		       "boot | audit2why");
	else if (strcmp(by, "fapolicyd") == 0)
		advise(cause, "install the driver as an .rpm, which is trusted by itself "
			      "(driver.package = \"rpm\"), or trust what is there: "
			      "fapolicyd-cli --file add /usr/bin --trust-file "
			      "vgpu-guest-agent; fapolicyd-cli --update; then run again");
	else
		advise(cause, "IMA wants a signature of each file: install the driver as "
			      "a package that has them, or sign its files (evmctl "
			      "ima_sign), or let the policy leave them out");
}
