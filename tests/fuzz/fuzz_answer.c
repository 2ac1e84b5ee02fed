/* SPDX-License-Identifier: Apache-2.0 */

/* Lines of an answer's head, as a server sends them, and what may be taken of the rest.
 */

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "worker/http/answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(const struct answer *answer, struct answer_wish wish)
{
	enum answer_verdict verdict = answer_judge(answer, &wish);

	if (verdict != ANSWER_TAKE)
		return;
	if (answer->encoded || (answer->status != 200 && answer->status != 206))
		abort();
	if (wish.offset && answer->first != wish.offset)
		abort();
	if (wish.end && (answer->status != 206 || answer->last != wish.end - 1))
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
	check(&answer, (struct answer_wish){ 0, 0, 0 });
	check(&answer, (struct answer_wish){ 0, 0, 1000 });
	check(&answer, (struct answer_wish){ 500, 0, 0 });
	check(&answer, (struct answer_wish){ 500, 0, 1000 });
	check(&answer, (struct answer_wish){ 0, 1, 0 });
	check(&answer, (struct answer_wish){ 500, 600, 1000 });
	return 0;
}
