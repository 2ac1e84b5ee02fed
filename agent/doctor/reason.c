/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/reason.h"

#include <string.h>

#include "base/clock.h"
#include "doctor/findings.h"

#define HOLDS_S 600 /* a token may expire without anything being written */

static bool is_same(const struct gridd_state *a, const struct gridd_state *b)
{
	return a->exists == b->exists && a->enabled == b->enabled &&
	       a->active == b->active && a->failed == b->failed &&
	       a->started == b->started && strcmp(a->detail, b->detail) == 0;
}

void reason_find(const struct context *ctx, const struct license_report *report,
		 struct reason_memory *memory, struct license_reason *ret_reason)
{
	struct doctor_facts facts = { .now = clock_now() };
	struct doctor_notes notes = { 0 };
	struct gridd_state daemon = { 0 };
	struct error ignored = ERROR_INIT;
	bool known = gridd_look(&daemon, &ignored) == 0;

	if (memory && clock_monotonic() < memory->until &&
	    is_same(&daemon, &memory->daemon)) {
		*ret_reason = memory->reason;
		return;
	}

	facts.has_vgpu = license_has_vgpu(report);
	findings_of_daemon(ctx, known ? &daemon : NULL, &facts, &notes, NULL);
	if (!doctor_reason(&facts, ret_reason))
		*ret_reason = (struct license_reason){ 0 };
	if (memory)
		*memory = (struct reason_memory){ .reason = *ret_reason,
						  .daemon = daemon,
						  .until = clock_monotonic() + HOLDS_S };
}
