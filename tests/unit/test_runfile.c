/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/runfile.h"

#include <string.h>

#include "support/cmocka.h"

#define TEXT(literal) (literal), sizeof(literal) - 1

static const struct {
	const char *name, *head;
	size_t size;
	bool known;
	struct runfile expected;
} cases[] = {
	{ "as NVIDIA writes it",
	  TEXT("#! /bin/sh\nCRCsum=1923650414\nMD5=0\nskip=9\nlabel=\"NVIDIA x 535.1\"\n"
	       "version_string=535.161.08\npkg_version=\nTARGET_ARCH=\"x86_64\"\n"
	       "\xfd\x37zXZ\0\nversion_string=1.2\n"),
	  true,
	  { "535.161.08", "x86_64", true, 1923650414 } },
	{ "quoted",
	  TEXT("#!/bin/sh\nversion_string=\"470.63\"\nTARGET_ARCH=aarch64\n"),
	  true,
	  { "470.63", "aarch64", false, 0 } },
	{ "CRLF", TEXT("#!/bin/sh\r\nversion_string=470.63\r\n"), true, { "470.63" } },
	{ "the first assignment counts",
	  TEXT("#!/bin/sh\nversion_string=470.63\nversion_string=470.64\n"),
	  true,
	  { "470.63" } },
	{ "the payload does not count",
	  TEXT("#!/bin/sh\nCRCsum=1\nskip=4\nversion_string=470.63\n"),
	  true,
	  { .has_crc = true, .crc = 1 } },
	{ "not at the line's begin",
	  TEXT("#!/bin/sh\nCRCsum=1\n version_string=470.63\n"),
	  true,
	  { .has_crc = true, .crc = 1 } },
	{ "no version at all", TEXT("#!/bin/sh\nversion_string=$1\n"), true, { "" } },
	{ "a version with more behind it",
	  TEXT("#!/bin/sh\nversion_string=470.63 ; rm -rf /\n"),
	  true,
	  { "470.63" } },
	{ "an endless architecture",
	  TEXT("#!/bin/sh\nversion_string=1.2\nTARGET_ARCH=xxxxxxxxxxxxxxxxxxxxxxxxx\n"),
	  true,
	  { "1.2" } },
	{ "a sum beyond 32 bits", TEXT("#!/bin/sh\nCRCsum=4294967296\n"), true, { "" } },
	{ "binary bytes",
	  TEXT("#!/bin/sh\n\0\0\xff\nversion_string=1.2\n"),
	  true,
	  { "1.2" } },
	{ "another script", TEXT("#!/bin/sh\necho hello\n"), false, { "" } },
	{ "no script", TEXT("version_string=470.63\n"), false, { "" } },
	{ "nothing", TEXT(""), false, { "" } },
};

static void the_head_tells_what_it_is(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct runfile actual = { 0 };

		print_message("case: %s\n", cases[i].name);
		assert_true(runfile_parse(cases[i].head, cases[i].size, &actual) ==
			    cases[i].known);
		assert_string_equal(actual.version, cases[i].expected.version);
		assert_string_equal(actual.arch, cases[i].expected.arch);
		assert_true(actual.has_crc == cases[i].expected.has_crc);
		assert_int_equal(actual.crc, cases[i].expected.crc);
	}
}

static void what_lies_beyond_the_head_is_not_read(void **state)
{
	static char file[RUNFILE_HEAD_MAX + 100] = "#!/bin/sh\nCRCsum=1\n";
	struct runfile actual;

	(void)state;
	strcpy(file + RUNFILE_HEAD_MAX - 2, "\n\nversion_string=1.2\n");

	assert_true(runfile_parse(file, sizeof(file), &actual));

	assert_string_equal(actual.version, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_head_tells_what_it_is),
		cmocka_unit_test(what_lies_beyond_the_head_is_not_read),
	};

	return cmocka_run_group_tests_name("runfile", tests, NULL, NULL);
}
