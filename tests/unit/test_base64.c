/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/base64.h"

#include <string.h>

#include "support/cmocka.h"

#define BAD(at) NULL, (at)

static const struct {
	const char *text;
	enum base64_form form;
	const char *expected; /* NULL: refused at `bad` */
	size_t bad;
} cases[] = {
	{ "", BASE64_URL, "", 0 },
	{ "Zg", BASE64_URL, "f", 0 },
	{ "Zm8", BASE64_URL, "fo", 0 },
	{ "Zm9v", BASE64_URL, "foo", 0 },
	{ "Zm9vYg", BASE64_URL, "foob", 0 },
	{ "-_-_", BASE64_URL, "\xfb\xff\xbf", 0 },
	{ "+/+/", BASE64_MIME, "\xfb\xff\xbf", 0 },
	{ "Zg==", BASE64_MIME, "f", 0 },
	{ "Zg", BASE64_MIME, "f", 0 },
	{ "Zm9v\r\nYmFy\n", BASE64_MIME, "foobar", 0 },
	{ "Zm 8=", BASE64_MIME, "fo", 0 },
	{ "Z", BASE64_URL, BAD(1) },
	{ "Zm9vY", BASE64_URL, BAD(5) },
	{ "Zg==", BASE64_URL, BAD(2) },
	{ "Zm9v\n", BASE64_URL, BAD(4) },
	{ "+/", BASE64_URL, BAD(0) },
	{ "-_", BASE64_MIME, BAD(0) },
	{ "Zg===", BASE64_MIME, BAD(4) },
	{ "Zm8==", BASE64_MIME, BAD(4) },
	{ "=", BASE64_MIME, BAD(0) },
	{ "Zg=x", BASE64_MIME, BAD(3) },
	{ "Zm9v=", BASE64_MIME, BAD(4) },
};

static void every_text_is_decoded_or_refused_at_its_place(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		unsigned char data[32];
		size_t size = 99, bad = 99;
		bool ok;

		print_message("case: %s\n", cases[i].text);
		ok = base64_decode(span_of(cases[i].text), cases[i].form, data, &size,
				   &bad);
		assert_true(ok == (cases[i].expected != NULL));
		if (!cases[i].expected) {
			assert_int_equal(bad, cases[i].bad);
			continue;
		}
		assert_int_equal(size, strlen(cases[i].expected));
		assert_memory_equal(data, cases[i].expected, size);
		assert_in_range(size, 0, BASE64_ROOM(strlen(cases[i].text)));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_text_is_decoded_or_refused_at_its_place),
	};

	return cmocka_run_group_tests_name("base64", tests, NULL, NULL);
}
