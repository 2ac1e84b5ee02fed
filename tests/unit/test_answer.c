/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/http/answer.h"

#include <string.h>

#include "base/macro.h"
#include "support/cmocka.h"

/* Reads a head by its lines, as libcurl hands them over. */
static struct answer answer_of(const char *head)
{
	struct answer answer = { .status = 0 };

	while (*head) {
		size_t size = strcspn(head, "\n") + 1;

		if (answer_line(&answer, head, size))
			break;
		head += size;
	}
	return answer;
}

#define OK "HTTP/1.1 200 OK\r\n"
#define PARTIAL "HTTP/1.1 206 Partial Content\r\n"
#define RANGE(text) PARTIAL "Content-Range: " text "\r\n\r\n"

static const struct {
	const char *head;
	uint64_t offset, total;
	enum answer_verdict verdict;
} cases[] = {
	{ OK "\r\n", 0, 0, ANSWER_TAKE },
	{ OK "Content-Length: 10\r\n\r\n", 0, 10, ANSWER_TAKE },
	{ OK "Content-Length: 10\r\n\r\n", 5, 10, ANSWER_FROM_ZERO },
	{ OK "content-length:  9 \r\n\r\n", 0, 10, ANSWER_WRONG_SIZE },
	{ OK "Content-Length: 11\r\n\r\n", 5, 10, ANSWER_WRONG_SIZE },
	{ OK "Content-Length: 10\r\nContent-Length: 10\r\n\r\n", 0, 10, ANSWER_TAKE },
	{ OK "Content-Length: 11\r\nContent-Length: 10\r\n\r\n", 0, 10,
	  ANSWER_WRONG_SIZE },
	{ OK "Content-Length: -1\r\n\r\n", 0, 0, ANSWER_WRONG_SIZE },
	{ OK "Content-Length: 18446744073709551616\r\n\r\n", 0, 0, ANSWER_WRONG_SIZE },
	{ OK "Content-Length: 9\r\nTransfer-Encoding: chunked\r\n\r\n", 0, 10,
	  ANSWER_TAKE },
	{ OK "Content-Encoding: gzip\r\n\r\n", 0, 0, ANSWER_ENCODED },
	{ OK "Content-Encoding: identity\r\n\r\n", 0, 0, ANSWER_TAKE },
	{ OK "Content-Encoding: identity\r\nContent-Encoding: br\r\n\r\n", 0, 0,
	  ANSWER_ENCODED },

	{ RANGE("bytes 5-9/10"), 5, 10, ANSWER_TAKE },
	{ RANGE("bytes 5-9/10"), 5, 0, ANSWER_TAKE },
	{ RANGE("bytes 5-9/*"), 5, 0, ANSWER_TAKE },
	{ RANGE("bytes 5-9/*"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes 0-9/10"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes 6-9/10"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes 5-8/10"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes 5-10/11"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes 5-10/10"), 5, 0, ANSWER_UNFIT },
	{ RANGE("bytes 9-5/10"), 9, 10, ANSWER_UNFIT },
	{ RANGE("bytes -5-9/10"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes 5-9"), 5, 10, ANSWER_UNFIT },
	{ RANGE("items 5-9/10"), 5, 10, ANSWER_UNFIT },
	{ RANGE("bytes */10"), 5, 10, ANSWER_UNFIT },
	{ RANGE(""), 5, 10, ANSWER_UNFIT },
	{ PARTIAL "\r\n", 5, 10, ANSWER_UNFIT },
	{ PARTIAL "Content-Range: bytes 5-9/10\r\n"
		  "Content-Range: bytes 5-9/10\r\n\r\n",
	  5, 10, ANSWER_UNFIT },
	{ PARTIAL "Content-Range: bytes 5-9/10\r\nContent-Length: 6\r\n\r\n", 5, 10,
	  ANSWER_UNFIT },
	{ PARTIAL "Content-Range: bytes 5-9/10\r\nContent-Encoding: br\r\n\r\n", 5, 10,
	  ANSWER_ENCODED },
	{ RANGE("bytes 0-9/10"), 0, 10, ANSWER_REFUSED },

	{ "HTTP/1.1 416 No\r\nContent-Range: bytes */5\r\n\r\n", 5, 0, ANSWER_COMPLETE },
	{ "HTTP/1.1 416 No\r\nContent-Range: bytes */5\r\n\r\n", 5, 10, ANSWER_UNFIT },
	{ "HTTP/1.1 416 No\r\nContent-Range: bytes */4\r\n\r\n", 5, 0, ANSWER_UNFIT },
	{ "HTTP/1.1 416 No\r\n\r\n", 5, 0, ANSWER_UNFIT },
	{ "HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\n\r\n", 0, 0, ANSWER_REFUSED },

	{ "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", 0, 0, ANSWER_REDIRECT },
	{ "HTTP/1.1 302 Found\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1 302 Found\r\nLocation:\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1 302 Found\r\nLocation: /\x01\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1 302 Found\r\nLocation: /\\x\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1 304 Not\r\nLocation: /x\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1 204 No\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1 2000 OK\r\n\r\n", 0, 0, ANSWER_REFUSED },
	{ "HTTP/1.1\r\n\r\n", 0, 0, ANSWER_REFUSED },
};

/* A part of a file: nothing but it will do. */
static const struct {
	const char *head;
	struct answer_wish wish;
	enum answer_verdict verdict;
} parts[] = {
	{ RANGE("bytes 5-7/10"), { 5, 8, 10 }, ANSWER_TAKE },
	{ RANGE("bytes 0-0/10"), { 0, 1, 0 }, ANSWER_TAKE },
	{ RANGE("bytes 5-9/10"), { 5, 8, 10 }, ANSWER_UNFIT },
	{ RANGE("bytes 5-6/10"), { 5, 8, 10 }, ANSWER_UNFIT },
	{ RANGE("bytes 4-7/10"), { 5, 8, 10 }, ANSWER_UNFIT },
	{ RANGE("bytes 5-7/11"), { 5, 8, 10 }, ANSWER_UNFIT },
	{ RANGE("bytes 5-7/*"), { 5, 8, 10 }, ANSWER_UNFIT },
	{ RANGE("bytes 0-9/10"), { 0, 1, 0 }, ANSWER_UNFIT },
	{ PARTIAL "Content-Range: bytes 5-7/10\r\nContent-Length: 4\r\n\r\n",
	  { 5, 8, 10 },
	  ANSWER_UNFIT },
	{ PARTIAL "Content-Range: bytes 5-7/10\r\nContent-Encoding: gzip\r\n\r\n",
	  { 5, 8, 10 },
	  ANSWER_ENCODED },
	{ PARTIAL "\r\n", { 5, 8, 10 }, ANSWER_UNFIT },
	{ OK "Content-Length: 10\r\n\r\n", { 5, 8, 10 }, ANSWER_UNFIT },
	{ OK "Content-Length: 3\r\n\r\n", { 0, 3, 3 }, ANSWER_UNFIT },
	{ "HTTP/1.1 416 No\r\nContent-Range: bytes */5\r\n\r\n",
	  { 5, 8, 0 },
	  ANSWER_UNFIT },
	{ "HTTP/1.1 416 No\r\nContent-Range: bytes */0\r\n\r\n",
	  { 0, 1, 0 },
	  ANSWER_UNFIT },
	{ "HTTP/1.1 503 Busy\r\n\r\n", { 5, 8, 10 }, ANSWER_REFUSED },
};

static void of_a_part_nothing_else_will_do(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		struct answer answer = answer_of(parts[i].head);
		enum answer_verdict verdict = answer_judge(&answer, &parts[i].wish);

		if (verdict != parts[i].verdict)
			fail_msg("verdict %d: %s", (int)verdict, parts[i].head);
	}
}

static void the_head_decides_about_the_body(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct answer answer = answer_of(cases[i].head);
		struct answer_wish wish = { .offset = cases[i].offset,
					    .total = cases[i].total };
		enum answer_verdict verdict = answer_judge(&answer, &wish);

		if (verdict != cases[i].verdict)
			fail_msg("verdict %d: %s", (int)verdict, cases[i].head);
	}
}

static void an_interim_answer_is_forgotten(void **state)
{
	struct answer answer =
		answer_of("HTTP/1.1 103 Early\r\nContent-Encoding: gzip\r\n\r\n"
			  "HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 404 late\r\n");

	(void)state;
	assert_int_equal(answer.status, 200);
	assert_false(answer.encoded);
}

static void the_reason_is_printable_and_bounded(void **state)
{
	char head[1024] = "HTTP/1.1 403 \x1b[1mno ";
	struct answer answer;

	(void)state;
	memset(head + strlen(head), 'x', 900);
	strcat(head, "\r\n");
	answer = answer_of(head);

	assert_int_equal(strncmp(answer.reason, "?[1mno xxx", 10), 0);
	assert_int_equal(strlen(answer.reason), sizeof(answer.reason) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_decides_about_the_body),
		cmocka_unit_test(of_a_part_nothing_else_will_do),
		cmocka_unit_test(an_interim_answer_is_forgotten),
		cmocka_unit_test(the_reason_is_printable_and_bounded),
	};

	return cmocka_run_group_tests_name("answer", tests, NULL, NULL);
}
