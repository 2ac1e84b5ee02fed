/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz/fuzz.h"
#include "model/license/trace.h"

/* Whether no byte of it ends a text. */
static bool is_unbroken(struct span text)
{
	for (size_t i = 0; i < text.len; i++) {
		char c = text.at[i];

		if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		      (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.'))
			return false;
	}
	return true;
}

/* Two parts: a token that is known, and bytes around a copy of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct span rest = { (const char *)data, size };
	struct span token = fuzz_part(&rest);
	struct trace trace = { .count = 0 };
	struct trace_scan scan;
	bool found;

	trace_learn(&trace, token);
	trace_begin(&scan, &trace);
	found = trace_take(&scan, rest);
	if (found || !is_unbroken(token) || token.len < 2 * (size_t)TRACE_PIECE)
		return 0;
	fuzz_require(trace_take(&scan, span_of("\n")) ||
		     trace_take(&scan, (struct span){ token.at, token.len }));
	return 0;
}
