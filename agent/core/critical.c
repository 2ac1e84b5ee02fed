/* SPDX-License-Identifier: Apache-2.0 */
#include "core/critical.h"

#define WAIT_LEAST_S 0.05 /* less is none */
#define ROUNDING_S 0.001  /* between two looks at the clock */

/* Whether the step only passed the time of the preparation that its end waited for. */
static bool is_off_path(const struct pipeline_report *report, const struct outcome *step)
{
	double begin = report->beside_began, end = begin + report->beside_seconds;

	return report->beside_waited >= WAIT_LEAST_S &&
	       step->began >= begin - ROUNDING_S && step->began + step->seconds <= end;
}

struct json *critical_names(const struct pipeline_report *report)
{
	struct json *names = json_build("[]");
	bool said = report->beside_waited < WAIT_LEAST_S;

	for (size_t i = 0; names && i < report->count; i++) {
		const struct outcome *step = &report->outcomes[i];
		const char *name = step->step;

		if (step->kind == OUTCOME_SKIPPED)
			continue;
		if (is_off_path(report, step)) {
			if (said)
				continue;
			said = true;
			name = "toolchain";
		}
		if (json_append(names, json_build("s", name)) < 0) {
			json_free(names);
			return NULL;
		}
	}
	return names;
}

struct json *critical_beside(const struct pipeline_report *report)
{
	if (report->beside_seconds <= 0)
		return json_build("[]");
	return json_build("[{s:s, s:s, s:f, s:f, s:f}]", "work", "toolchain", "step",
			  "build", "began", report->beside_began, "seconds",
			  report->beside_seconds, "waited", report->beside_waited);
}
