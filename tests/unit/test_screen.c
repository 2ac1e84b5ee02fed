/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/screen.h"

#include "support/cmocka.h"

#define K "\033[K"

/* Text, the terminal's rows and columns, the bytes without their beginning. */
static const struct {
	const char *text;
	unsigned rows, columns;
	const char *expected;
} frames[] = {
	{ "one\ntwo\n", 5, 10, "one" K "\r\ntwo" K "\033[J" },
	{ "one\ntwo\n", 2, 10, "one" K "\r\ntwo" K },
	/* What is too much is left out; nothing ever scrolls. */
	{ "one\ntwo\nthree\n", 2, 10, "one" K "\r\n..." K },
	{ "one\ntwo\n", 1, 10, "..." K },
	/* A long line needs two rows, and colours need none. */
	{ "0123456789ab\nc\n", 3, 10, "0123456789ab" K "\r\nc" K },
	{ "0123456789ab\nc\nd\n", 3, 10, "0123456789ab" K "\r\n..." K },
	{ "\033[31m0123456789\033[0m\nc\n", 2, 10, "\033[31m0123456789\033[0m\r\nc" K },
	{ "\303\244123456789\nc\n", 2, 10, "\303\244123456789\r\nc" K },
	/* In the last column there is nothing to clear, and clearing would take it away.
	 */
	{ "0123456789\n", 2, 10, "0123456789\r\n\033[J" },
	{ "0123456789\n", 1, 10, "0123456789" },
	{ "a\n\nb\n", 4, 10, "a" K "\r\n" K "\r\nb" K "\033[J" },
	{ "", 4, 10, "\033[J" },
};

static void a_frame_fits_the_terminal(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(frames); i++) {
		cleanup_free char *frame =
			screen_frame(frames[i].text, frames[i].rows, frames[i].columns);

		assert_non_null(frame);
		assert_memory_equal(frame, "\033[H", 3);
		assert_string_equal(frame + 3, frames[i].expected);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_frame_fits_the_terminal),
	};

	return cmocka_run_group_tests_name("screen", tests, NULL, NULL);
}
