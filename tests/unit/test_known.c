/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/known.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define KERNEL "6.1.0-57-cloud-amd64"
#define OTHER "6.1.0-56-cloud-amd64"
#define NAME "NVIDIA-Linux-x86_64-550.54.15-grid.run"

#define ARCHIVE(version, kernel, flavour, arch)                                      \
	"{'name':'nvidia-modules-" version kernel flavour arch                       \
	".tar.gz','version':'" version "','kernel':'" kernel "','vermagic':'" kernel \
	" SMP','compiler':'gcc',"                                                    \
	"'flavour':'" flavour "','arch':'" arch "','size':7,'sha256':'" SHA "'}"
#define BUILD(version, kernel, flavour, ok, more)                            \
	"{'version':'" version "','kernel':'" kernel "','flavour':'" flavour \
	"','ok':" ok more "}"

/* Single quotes stand for double ones. */
static struct index *index_of(const char *modules, const char *builds)
{
	cleanup_free char *text = text_print("{'schema':1,'serial':1,'files':[],"
					     "'modules':[%s],'builds':[%s]}",
					     modules, builds);
	cleanup_json struct json *json = NULL;
	struct index *index = NULL;
	struct error err = ERROR_INIT;

	assert_non_null(text);
	for (char *c = text; (c = strchr(c, '\''));)
		*c = '"';
	if (json_parse(text, strlen(text), &json, &err) < 0 ||
	    index_from_json(json, &index, &err) < 0)
		fail_msg("%s: %s", text, err.text);
	assert_int_equal(index->warning_count, 0);
	return index;
}

static struct known ask(const struct known_input *input, const struct index *index,
			const char *name, const char *version)
{
	struct package file = { .kind = PACKAGE_RUN, .sha256 = SHA };
	struct known_list list;
	struct error err = ERROR_INIT;
	struct known known;

	(void)text_copy(file.name, sizeof(file.name), name);
	(void)text_copy(file.version, sizeof(file.version), version);
	assert_int_equal(known_collect(input, index, &list, &err), 0);
	known = known_of(input, &list, &file);
	known_done(&list);
	return known;
}

static void what_the_index_says_counts_for_its_kernel_flavour_and_arch(void **state)
{
	static const struct {
		const char *modules, *builds, *wanted, *version;
		enum known_verdict expected;
	} rows[] = {
		{ "", "", "auto", "550.54.15", KNOWN_NOTHING },
		{ ARCHIVE("550.54.15", KERNEL, "open", "x86_64"), "", "auto", "550.54.15",
		  KNOWN_WORKS },
		{ ARCHIVE("550.54.15", KERNEL, "open", "x86_64"), "", "proprietary",
		  "550.54.15", KNOWN_NOTHING },
		{ ARCHIVE("550.54.15", KERNEL, "open", "aarch64"), "", "auto",
		  "550.54.15", KNOWN_NOTHING },
		{ ARCHIVE("550.54.15", OTHER, "open", "x86_64"), "", "auto", "550.54.15",
		  KNOWN_NOTHING },
		{ ARCHIVE("550.54.15", KERNEL, "open", "x86_64"), "", "auto", "550.90.07",
		  KNOWN_NOTHING },
		/* a build that was tried, for the flavour that would be built */
		{ "", BUILD("550.54.15", KERNEL, "proprietary", "false", ""), "auto",
		  "550.54.15", KNOWN_FAILS },
		{ "", BUILD("550.54.15", KERNEL, "open", "false", ""), "auto",
		  "550.54.15", KNOWN_NOTHING },
		{ "", BUILD("570.124.06", KERNEL, "open", "false", ""), "auto",
		  "570.124.06", KNOWN_FAILS },
		{ "", BUILD("550.54.15", KERNEL, "open", "false", ""), "open",
		  "550.54.15", KNOWN_FAILS },
		{ "", BUILD("550.54.15", KERNEL, "proprietary", "true", ""), "auto",
		  "550.54.15", KNOWN_WORKS },
		{ "", BUILD("550.54.15", OTHER, "proprietary", "false", ""), "auto",
		  "550.54.15", KNOWN_NOTHING },
		{ "",
		  BUILD("550.54.15", KERNEL, "proprietary", "false", ",'arch':'aarch64'"),
		  "auto", "550.54.15", KNOWN_NOTHING },
		/* modules that are there need no compile */
		{ ARCHIVE("550.54.15", KERNEL, "proprietary", "x86_64"),
		  BUILD("550.54.15", KERNEL, "proprietary", "false", ""), "auto",
		  "550.54.15", KNOWN_WORKS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_index struct index *index =
			index_of(rows[i].modules, rows[i].builds);
		const struct known_input input = { .kernel_count = 1,
						   .kernels = { KERNEL },
						   .arch = "x86_64",
						   .wanted = rows[i].wanted };

		if (ask(&input, index, NAME, rows[i].version).verdict != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

static void what_was_tried_here_counts_while_nothing_differs(void **state)
{
	static const struct {
		struct known_build build;
		bool successes;
		const char *name;
		enum known_verdict expected;
	} rows[] = {
		{ { NAME, SHA, "550.54.15", KERNEL, "gcc", "auto" },
		  false,
		  NAME,
		  KNOWN_FAILS },
		{ { "", "", "550.54.15", KERNEL, "gcc", "auto" },
		  false,
		  NAME,
		  KNOWN_FAILS },
		{ { NAME, "", "550.54.15", KERNEL, "gcc", "auto" },
		  false,
		  NAME,
		  KNOWN_NOTHING },
		{ { NAME, SHA, "550.54.15", OTHER, "gcc", "auto" },
		  false,
		  NAME,
		  KNOWN_NOTHING },
		{ { NAME, SHA, "550.54.14", KERNEL, "gcc", "auto" },
		  false,
		  NAME,
		  KNOWN_NOTHING },
		{ { NAME, SHA, "550.54.15", KERNEL, "gcc", "open", .open = true },
		  false,
		  NAME,
		  KNOWN_NOTHING },
		{ { NAME, SHA, "550.54.15", KERNEL, "gcc", "auto" },
		  false,
		  "b/" NAME,
		  KNOWN_NOTHING },
		{ { NAME, SHA, "550.54.15", KERNEL, "gcc", "auto", .now = true },
		  false,
		  "b/" NAME,
		  KNOWN_FAILS },
		{ { NAME, SHA, "550.54.15", KERNEL, "gcc", "auto", .ok = true },
		  false,
		  NAME,
		  KNOWN_NOTHING },
		{ { NAME, SHA, "550.54.15", KERNEL, "gcc", "auto", .ok = true },
		  true,
		  NAME,
		  KNOWN_WORKS },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct known_input input = { .kernel_count = 1,
						   .kernels = { KERNEL },
						   .arch = "x86_64",
						   .wanted = "auto",
						   .build_count = 1,
						   .builds = &rows[i].build,
						   .own_successes = rows[i].successes };
		struct known known = ask(&input, NULL, rows[i].name, "550.54.15");

		if (known.verdict != rows[i].expected)
			fail_msg("row %zu: %d", i, known.verdict);
		assert_int_equal(known.here, known.verdict == KNOWN_FAILS);
	}
}

/* A failure of a moment ago counts more than the archive that did not spare it. */
static void modules_of_the_index_outweigh_a_failure_of_an_earlier_run(void **state)
{
	cleanup_index struct index *index =
		index_of(ARCHIVE("550.54.15", KERNEL, "proprietary", "x86_64"), "");
	struct known_build build = { NAME, SHA, "550.54.15", KERNEL, "gcc", "auto" };
	const struct known_input input = { .kernel_count = 1,
					   .kernels = { KERNEL },
					   .arch = "x86_64",
					   .wanted = "auto",
					   .build_count = 1,
					   .builds = &build };

	(void)state;
	assert_int_equal(ask(&input, index, NAME, "550.54.15").verdict, KNOWN_WORKS);
	build.now = true;
	assert_int_equal(ask(&input, index, NAME, "550.54.15").verdict, KNOWN_FAILS);
}

static void one_kernel_that_fails_is_enough_and_each_must_work(void **state)
{
	static const struct {
		const char *modules, *builds;
		enum known_verdict expected;
	} rows[] = {
		{ ARCHIVE("550.54.15", KERNEL, "open", "x86_64"), "", KNOWN_NOTHING },
		{ ARCHIVE("550.54.15", KERNEL, "open", "x86_64"),
		  BUILD("550.54.15", OTHER, "proprietary", "false",
			",'why':'x.c: error'"),
		  KNOWN_FAILS },
		{ ARCHIVE("550.54.15", KERNEL, "open",
			  "x86_64") "," ARCHIVE("550.54.15", OTHER, "open", "x86_64"),
		  "", KNOWN_WORKS },
	};
	const struct known_input input = { .kernel_count = 2,
					   .kernels = { KERNEL, OTHER },
					   .arch = "x86_64",
					   .wanted = "auto" };

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_index struct index *index =
			index_of(rows[i].modules, rows[i].builds);
		struct known known = ask(&input, index, NAME, "550.54.15");

		if (known.verdict != rows[i].expected)
			fail_msg("row %zu: %d", i, known.verdict);
		if (known.verdict != KNOWN_FAILS)
			continue;
		assert_string_equal(known.kernel, OTHER);
		assert_string_equal(known.why, "x.c: error");
	}
}

static void of_no_kernel_nothing_is_known(void **state)
{
	const struct known_input input = { .arch = "x86_64", .wanted = "auto" };

	(void)state;
	assert_int_equal(ask(&input, NULL, NAME, "550.54.15").verdict, KNOWN_NOTHING);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_the_index_says_counts_for_its_kernel_flavour_and_arch),
		cmocka_unit_test(what_was_tried_here_counts_while_nothing_differs),
		cmocka_unit_test(
			modules_of_the_index_outweigh_a_failure_of_an_earlier_run),
		cmocka_unit_test(one_kernel_that_fails_is_enough_and_each_must_work),
		cmocka_unit_test(of_no_kernel_nothing_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
