/* SPDX-License-Identifier: Apache-2.0 */

/* Lines of an answer's head, as a server sends them, and what may be taken of the rest.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct answer *answer, uint64_t offset, uint64_t total)
{
	enum answer_verdict verdict = answer_judge(answer, offset, total);

	if (verdict != ANSWER_TAKE)
		return;
	if (answer->encoded || (answer->status != 200 && answer->status != 206))
		abort();
	if (offset && answer->first != offset)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct answer answer = { .status = 0 };

	while (at < end) {
		const char *lf = memchr(at, '\n', (size_t)(end - at));
		const char *next = lf ? lf + 1 : end;

		if (answer_line(&answer, at, (size_t)(next - at)))
			break;
		at = next;
	}

	if (memchr(answer.reason, '\0', sizeof(answer.reason)) == NULL)
		abort();
	check(&answer, 0, 0);
	check(&answer, 0, 1000);
	check(&answer, 500, 0);
	check(&answer, 500, 1000);
	return 0;
}
