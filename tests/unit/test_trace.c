/* SPDX-License-Identifier: Apache-2.0 */
#include "model/license/trace.h"

#include <stdio.h>
#include <string.h>

#include "base/macro.h"
#include "support/cmocka.h"

#define ROOM 16384

static const char token[] =
	"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAxLTQ0NDQtOTk5OS0w"
	"MDAwMDAwMDAwMDEiLCJpc3MiOiJOTFMgU2VydmljZSBJbnN0YW5jZSIsImF1ZCI6Ik5MUyBMaWNlbnNlZCB"
	"DbGllbnQifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi1pcy1ub3QtcmVhbC1idXQtbG9uZy1lbm91Z2gtZm9y"
	"LXR3by1waWVjZXMtb2YtaXQ";
/* Of no form that anybody knows. */
static const char formless[] =
	"A-token-of-another-maker-0123456789-with-its-own-letters-long-enough-qwertzuiop"
	"asdfghjklyxcvbnmQWERTZUIOPASDFGHJKLYXCVBNM9876543210_and_no_two_pieces_are_alike";

static bool find(const struct trace *trace, const char *text)
{
	struct trace_scan scan;

	trace_begin(&scan, trace);
	return trace_take(&scan, span_of(text));
}

/* Into lines of `width` characters, each begun with `indent`; 0: one line. */
static void fold(const char *text, size_t width, const char *end, const char *indent,
		 char *ret_text)
{
	size_t length = strlen(text), used = 0;

	for (size_t at = 0; at < length; at += width) {
		int size = (int)(length - at < width ? length - at : width);

		used += (size_t)sprintf(ret_text + used, "%s%.*s%s", indent, size,
					text + at, end);
	}
}

static void encode(const char *text, const char *last, char *ret_text)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
		"0123456789";
	size_t length = strlen(text), used = 0;

	for (size_t at = 0; at < length; at += 3) {
		uint32_t bits = 0;
		size_t left = 0;

		for (; left < 3 && at + left < length; left++)
			bits |= (uint32_t)(unsigned char)text[at + left]
				<< (16 - 8 * left);
		for (size_t i = 0; i <= left; i++) {
			unsigned value = bits >> (18 - 6 * i) & 63;

			ret_text[used++] = value < 62 ? letters[value] : last[value - 62];
		}
	}
	ret_text[used] = '\0';
}

/* How a token stands in files: in `form`, %s is the token. */
static const struct spelling {
	const char *name;
	size_t width; /* of its lines, 0: one */
	const char *end, *indent;
	unsigned coats; /* of base64 */
	size_t inner;   /* before it: the other groups of three */
} spellings[] = {
	{ "plain", 0, "", "", 0, 0 },
	{ "folded by YAML", 64, "\n", "    ", 0, 0 },
	{ "folded with CR", 76, "\r\n", "", 0, 0 },
	{ "folded in JSON", 76, "\\n", "", 0, 0 },
	{ "base64", 0, "", "", 1, 0 },
	{ "base64 of a document, one byte on", 0, "", "", 1, 1 },
	{ "base64 of a document, two bytes on", 0, "", "", 1, 2 },
	{ "base64 folded", 76, "\n", "", 1, 0 },
	{ "base64 folded and indented", 64, "\n", "      ", 1, 1 },
	{ "base64 folded in JSON", 76, "\\n", "", 1, 2 },
	{ "base64 of base64", 76, "\n", "", 2, 1 },
	{ "base64 of base64 of base64", 0, "", "", 3, 0 },
};

static void spell(const struct spelling *spelling, const char *secret, char *ret_text)
{
	static const char *const before[] = { "", "x", "xy" };
	char text[ROOM], coat[ROOM];

	(void)snprintf(text, sizeof(text), "%s%s\n", before[spelling->inner], secret);
	for (unsigned i = 0; i < spelling->coats; i++) {
		encode(text, i ? "+/" : "-_", coat);
		(void)strcpy(text, coat);
	}
	if (spelling->width)
		fold(text, spelling->width, spelling->end, spelling->indent, coat);
	else
		(void)strcpy(coat, text);
	(void)snprintf(ret_text, 2 * ROOM,
		       "#cloud-config\ncontent: \"%s\"\nrest: of it\n", coat);
}

static void each_spelling_is_found_by_its_form(void **state)
{
	static const struct trace none;
	char text[2 * ROOM];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		spell(&spellings[i], token, text);
		if (!find(&none, text))
			fail_msg("%s: %s", spellings[i].name, text);
	}
}

static void each_spelling_of_a_known_one_is_found_whatever_its_form(void **state)
{
	static const struct trace none;
	struct trace known = { .count = 0 };
	char text[2 * ROOM];

	(void)state;
	trace_learn(&known, span_of(formless));
	assert_true(known.count > 0);
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		spell(&spellings[i], formless, text);
		if (!find(&known, text))
			fail_msg("%s: %s", spellings[i].name, text);
		assert_false(find(&none, text));
	}
}

/* A path or a sum, for one: the base64 behind it has its own groups. */
static void a_long_line_before_it_is_another_text(void **state)
{
	static const struct trace none;
	char coat[ROOM], text[2 * ROOM];

	(void)state;
	encode(token, "+/", coat);
	for (int length = 44; length < 52; length++) {
		(void)snprintf(
			text, sizeof(text), "%.*s\n%s\n", length,
			"/a/path/that/is/as/long/as/a/line/of/base64/may/be/at/least",
			coat);
		if (!find(&none, text))
			fail_msg("%s", text);
	}
}

/* The beginning of tokens is the same everywhere. */
static void half_of_a_known_one_is_found_where_it_is_its_own_half(void **state)
{
	struct trace known = { .count = 0 };
	char half[ROOM];

	(void)state;
	trace_learn(&known, span_of(formless));
	(void)snprintf(half, sizeof(half), "%.*s", (int)(sizeof(formless) / 2), formless);
	assert_false(find(&known, half));
	assert_true(find(&known, formless + sizeof(formless) / 2));
}

static void what_is_no_token_is_none(void **state)
{
	static const char *const texts[] = {
		"client_token: eyJ...",
		"{\"client_token\":\"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJ....\"}",
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAx",
		/* No signature, and one of a few letters. */
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAxLTQ0NDQ.",
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAxLTQ0NDQ.abc",
		/* A text behind the beginning of one. */
		"eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9.eyJqdGkiOiJiNmU2ZjA0Yy0wMDAxLTQ0NDQ and "
		"so on. And here are the words of another sentence, of more than a few letters",
		"keys.of.python.modules.eyes_of_the_beholder.exactly_what_is_long_enough_here.ok",
		"-----BEGIN CERTIFICATE-----\n"
		"MIIDdzCCAl+gAwIBAgIEAgAAuTANBgkqhkiG9w0BAQUFADBaMQswCQYDVQQGEwJJ\n"
		"RTESMBAGA1UEChMJQmFsdGltb3JlMRMwEQYDVQQLEwpDeWJlclRydXN0MSIwIAYD\n",
	};
	struct trace known = { .count = 0 };

	(void)state;
	trace_learn(&known, span_of(formless));
	for (size_t i = 0; i < ARRAY_SIZE(texts); i++) {
		if (find(&known, texts[i]))
			fail_msg("%s", texts[i]);
	}
}

/* A file is read in pieces. */
static void a_token_across_two_reads_is_found(void **state)
{
	struct trace known = { .count = 0 };
	char text[2 * ROOM];

	(void)state;
	trace_learn(&known, span_of(formless));
	for (size_t i = 0; i < ARRAY_SIZE(spellings); i++) {
		spell(&spellings[i], i % 2 ? token : formless, text);
		for (size_t cut = 0; cut < strlen(text); cut += 11) {
			struct trace_scan scan;
			bool found;

			trace_begin(&scan, &known);
			found = trace_take(&scan, (struct span){ text, cut }) ||
				trace_take(&scan, span_of(text + cut));
			assert_true(found);
		}
	}
}

static void pieces_are_enough_to_search_again(void **state)
{
	struct trace known = { .count = 0 }, again = { .count = 0 };
	cleanup_json struct json *pieces = NULL, *none = NULL;
	struct error err = ERROR_INIT;
	static const char junk[] =
		"[7,\"xyz\",null,{},\"0123456789abcdef0\",\"0123456789abcde\"]";

	(void)state;
	trace_learn(&known, span_of(formless));
	pieces = trace_print(&known);
	assert_int_equal(json_parse(junk, sizeof(junk) - 1, &none, &err), 0);
	trace_read(&again, none);
	assert_int_equal(again.count, 0);
	trace_read(&again, pieces);
	trace_read(&again, pieces);
	assert_int_equal(again.count, known.count);
	assert_true(find(&again, formless));
}

/* Neither what is too short to be told from others, nor more than there is room for. */
static void learning_is_bounded(void **state)
{
	struct trace known = { .count = 0 };
	char text[ROOM * 2];
	uint32_t random = 1;

	(void)state;
	trace_learn(&known, span_of("too short to be told apart from other texts"));
	assert_int_equal(known.count, 0);
	for (int round = 0; round < 4; round++) {
		for (size_t i = 0; i < sizeof(text); i++) {
			random = random * 1664525 + 1013904223;
			text[i] = (char)('a' + (random >> 24) % 26);
		}
		trace_learn(&known, (struct span){ text, sizeof(text) });
	}
	assert_int_equal(known.count, TRACE_PIECES_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_spelling_is_found_by_its_form),
		cmocka_unit_test(each_spelling_of_a_known_one_is_found_whatever_its_form),
		cmocka_unit_test(a_long_line_before_it_is_another_text),
		cmocka_unit_test(half_of_a_known_one_is_found_where_it_is_its_own_half),
		cmocka_unit_test(what_is_no_token_is_none),
		cmocka_unit_test(a_token_across_two_reads_is_found),
		cmocka_unit_test(pieces_are_enough_to_search_again),
		cmocka_unit_test(learning_is_bounded),
	};

	return cmocka_run_group_tests_name("trace", tests, NULL, NULL);
}
