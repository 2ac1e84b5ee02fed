/* SPDX-License-Identifier: Apache-2.0 */
#include "base/manager_words.h"

#include <string.h>

#include "support/cmocka.h"

#define SIZE 300

/* Outputs of dnf 4.14, rpm 4.18, apt 2.6 and dpkg 1.21; of dnf5 as it is documented. */
#define CONFLICT                                                                        \
	"Running transaction test\n"                                                    \
	"Error: Transaction test error:\n"                                              \
	"  file /usr/bin/nvidia-smi from install of nvidia-linux-grid-550-550.90.07-1." \
	"x86_64 conflicts with file from package nvidia-driver-cuda-535-1.noarch\n"     \
	"\n"
#define DOWN                                                                  \
	"Errors during downloading metadata for repository 'lab':\n"          \
	"  - Curl error (7): Couldn't connect to server for "                 \
	"http://127.0.0.1:1/repo/repodata/repomd.xml\n"                       \
	"Error: Failed to download metadata for repo 'lab': Cannot download " \
	"repomd.xml: All mirrors were tried\n"                                \
	"Ignoring repositories: lab\n"                                        \
	"No match for argument: x\n"                                          \
	"Error: Unable to find a match: x\n"
#define LOCKED                                                                 \
	"RPM: error: can't create transaction lock on /var/lib/rpm/.rpm.lock " \
	"(Resource temporarily unavailable)\nError: Could not run transaction.\n"
#define SCRIPT                                                                         \
	"  Running scriptlet: nvidia-linux-grid-550-550.90.07-1.x86_64               " \
	"1/1\n"                                                                        \
	"nv.c:3: error: implicit declaration of nv_x\n"                                \
	"Error! Bad return status for module build on kernel: 9.9 (x86_64)\n"          \
	"warning: %post(nvidia-linux-grid-550-550.90.07-1.x86_64) scriptlet failed, "  \
	"exit status 10\n"                                                             \
	"\n"                                                                           \
	"Error in POSTIN scriptlet in rpm package nvidia-linux-grid-550\n"             \
	"Complete!\n"

static void the_lines_that_a_heading_announces_belong_to_the_complaint(void **state)
{
	static const struct {
		const char *output, *text;
	} rows[] = {
		{ CONFLICT,
		  "Transaction test error: file /usr/bin/nvidia-smi from install of "
		  "nvidia-linux-grid-550-550.90.07-1.x86_64 conflicts with file from "
		  "package nvidia-driver-cuda-535-1.noarch" },
		{ "Error: \n Problem: conflicting requests\n  - nothing provides "
		  "libx.so.9 needed by a\n(try to add --skip-broken)\n",
		  "Problem: conflicting requests - nothing provides libx.so.9 needed by "
		  "a" },
		{ "Failed to resolve the transaction:\nNo match for argument: x\n",
		  "No match for argument: x" },
		{ "Transaction failed: Rpm transaction failed.\n  - file /a conflicts\n",
		  "Rpm transaction failed." },
		{ LOCKED, "can't create transaction lock on /var/lib/rpm/.rpm.lock "
			  "(Resource temporarily unavailable)" },
		{ "E: Unable to locate package x\nE: more\n",
		  "Unable to locate package x" },
		{ "E: Can not write log (Is /dev/pts mounted?) - posix_openpt (2)\n"
		  "E: Sub-process /usr/bin/dpkg returned an error code (1)\n",
		  "Sub-process /usr/bin/dpkg returned an error code (1)" },
		{ "Error:", "" },
		{ "all is well\n", "" },
		{ "", "" },
	};
	char text[SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		manager_words_complaint(span_of(rows[i].output), text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

static void a_script_that_failed_is_quoted_whatever_the_manager_says(void **state)
{
	static const struct {
		const char *output, *text;
	} rows[] = {
		{ SCRIPT,
		  "Error! Bad return status for module build on kernel: 9.9 (x86_64): "
		  "%post(nvidia-linux-grid-550-550.90.07-1.x86_64) scriptlet failed, "
		  "exit status 10" },
		{ "Setting up x (1) ...\nno compiler\ndpkg: error processing package x "
		  "(--configure):\n installed x package post-installation script "
		  "subprocess returned error exit status 10\nE: Sub-process\n",
		  "no compiler: installed x package post-installation script "
		  "subprocess returned error exit status 10" },
		{ ">>> Running %post scriptlet: x-0:1-1.x86_64\n>>> Error in %post "
		  "scriptlet: x\n>>> Scriptlet output:\n>>> no compiler\n>>> [RPM] "
		  "%post(x-1-1.x86_64) scriptlet failed, exit status 1\n",
		  "no compiler: [RPM] %post(x-1-1.x86_64) scriptlet failed, exit status "
		  "1" },
		{ "warning: %post(x) scriptlet failed, exit status 1\n",
		  "%post(x) scriptlet failed, exit status 1" },
		{ "Running scriptlet: x\nComplete!\n", "" },
	};
	char text[SIZE];

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		manager_words_script(span_of(rows[i].output), text, sizeof(text));
		assert_string_equal(text, rows[i].text);
	}
}

static void each_kind_of_trouble_has_its_own_way_out(void **state)
{
	static const struct {
		const char *output, *hint; /* a part of it; NULL: none */
	} rows[] = {
		{ DOWN, "does not answer" },
		{ ">>> Curl error (6): Could not resolve hostname for x\n",
		  "does not answer" },
		{ "E: Failed to fetch http://x  Could not connect\n", "does not answer" },
		{ "Error: There are no enabled repositories in \"/etc/yum.repos.d\".\n",
		  "no package repository" },
		{ "Warning: No repositories defined.\n", "no package repository" },
		{ "Package x.rpm is not signed\nError: GPG check FAILED\n", "import" },
		{ "The following signatures couldn't be verified: NO_PUBKEY 1\n",
		  "import" },
		{ "All matches were filtered out by exclude filtering for argument: x\n",
		  "exclude=" },
		{ "Argument 'x' matches only excluded packages.\n", "exclude=" },
		{ CONFLICT, "remove it" },
		{ "trying to overwrite '/usr/bin/nvidia-smi', which is also in package "
		  "x\n",
		  "remove it" },
		{ "write failed: No space left on device\n", "make room" },
		{ "Error: Unable to find a match: x\n", NULL },
		{ "", NULL },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *hint = manager_words_hint(rows[i].output);

		if (!hint != !rows[i].hint || (hint && !strstr(hint, rows[i].hint)))
			fail_msg("row %zu: %s", i, hint ? hint : "none");
	}
}

static void a_lock_is_told_from_other_troubles(void **state)
{
	static const struct {
		const char *output;
		bool locked;
	} rows[] = {
		{ LOCKED, true },
		{ "E: Could not get lock /var/lib/dpkg/lock\n", true },
		{ "Error: Failed to obtain the transaction lock (logged in as: root).\n",
		  true },
		{ "Metadata cache was locked by another process: 12. Exiting.\n", true },
		{ "System management is locked by the application with pid 7 (zypper).\n",
		  true },
		{ DOWN, false },
		{ CONFLICT, false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		if (manager_words_locked(rows[i].output) != rows[i].locked)
			fail_msg("row %zu", i);
	}
}

static void what_does_not_fit_is_cut_and_ends(void **state)
{
	char small[8], longer[4096];

	(void)state;
	memset(longer, 'x', sizeof(longer));
	memcpy(longer, "Error: ", 7);
	manager_words_complaint((struct span){ longer, sizeof(longer) }, small,
				sizeof(small));
	assert_int_equal(strlen(small), sizeof(small) - 1);
	manager_words_script(span_of(SCRIPT), small, sizeof(small));
	assert_string_equal(small, "Error! ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			the_lines_that_a_heading_announces_belong_to_the_complaint),
		cmocka_unit_test(
			a_script_that_failed_is_quoted_whatever_the_manager_says),
		cmocka_unit_test(each_kind_of_trouble_has_its_own_way_out),
		cmocka_unit_test(a_lock_is_told_from_other_troubles),
		cmocka_unit_test(what_does_not_fit_is_cut_and_ends),
	};

	return cmocka_run_group_tests_name("manager_words", tests, NULL, NULL);
}
