/* SPDX-License-Identifier: Apache-2.0 */
#include "license/query.h"

#include <string.h>

#include "base/clock.h"
#include "steps/license/poll.h"

#define TIMEOUT_S 30
#define NVML_AGAIN_S 600 /* after its process died */

/*
 * A library that fails may be an old one, which somebody has replaced together with the
 * driver: only another process finds the new one. One that killed its process is left
 * alone for a while, where there is another to ask.
 */
static int ask_nvml(struct query *query, bool only, int cancel_fd,
		    struct license_report *ret_report, bool *ret_exact, struct error *err)
{
	if (!only && clock_monotonic() < query->nvml_after)
		return error_set(err, ERROR_DRIVER, "NVML's process has ended lately");
	if (!nvml_child_is_up(&query->nvml) &&
	    nvml_child_start(query->library, &query->nvml, err) < 0)
		return -1;
	if (nvml_child_ask(&query->nvml, TIMEOUT_S, cancel_fd, ret_report, ret_exact,
			   err) == 0)
		return 0;
	if (!nvml_child_is_up(&query->nvml))
		query->nvml_after = clock_monotonic() + NVML_AGAIN_S;
	nvml_child_end(&query->nvml);
	return -1;
}

int query_license(struct query *query, const char *backend, struct runner *runner,
		  const struct root *root, struct license_report *ret_report,
		  struct error *err)
{
	bool only = strcmp(backend, "nvml") == 0;
	struct error why = ERROR_INIT;
	bool exact = false;

	if (only || (query->stays && strcmp(backend, "auto") == 0)) {
		int result = ask_nvml(query, only, runner->cancel_fd, ret_report, &exact,
				      &why);

		if (result == 0 && (exact || only)) {
			query->by_nvml++;
			return 0;
		}
		if (only || why.interrupted) {
			*err = why;
			return -1;
		}
	}

	if (poll_smi(runner, root, TIMEOUT_S, ret_report, err) < 0)
		return -1;
	query->by_smi++;
	return 0;
}

void query_close(struct query *query)
{
	nvml_child_end(&query->nvml);
}
