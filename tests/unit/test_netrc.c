/* SPDX-License-Identifier: Apache-2.0 */
#include "model/netrc.h"

#include <string.h>

#include "base/text.h"
#include "support/cmocka.h"

#define OTHER "machine other.example login you password secret\n"
#define MINE "machine pulp.example login me password word\n"

static void of_many_hosts_one_is_kept_as_it_stands(void **state)
{
	static const struct {
		const char *text, *kept;
	} cases[] = {
		{ OTHER MINE OTHER, MINE },
		{ MINE, MINE },
		{ OTHER, "" },
		{ "", "" },
		{ MINE OTHER "machine PULP.example. login it password 2\n",
		  MINE "machine PULP.example. login it password 2\n" },
		{ "machine\n\tpulp.example\n\tlogin me\n\tpassword word\n" OTHER,
		  "machine\n\tpulp.example\n\tlogin me\n\tpassword word\n" },
		{ "machine \"pulp.example\" password \"a machine \\\" b\" " OTHER,
		  "machine \"pulp.example\" password \"a machine \\\" b\" " },
		/* A part of the name is another host. */
		{ "machine pulp login a password b machine my.pulp.example password c",
		  "" },
		{ "machine pulp.example.evil.example password secret", "" },
		/* Values that look like keywords. */
		{ "machine pulp.example login machine password default account macdef\n" OTHER,
		  "machine pulp.example login machine password default account "
		  "macdef\n" },
		{ "machine other.example login machine pulp.example password secret",
		  "" },
		{ "machine other.example password #secret\n" MINE, MINE },
		/* Comments and macros. */
		{ "# machine pulp.example password old\n" MINE "# end\n" OTHER,
		  MINE "# end\n" },
		{ "macdef init\nmachine pulp.example password secret\n\n" MINE, MINE },
		{ MINE "macdef init\ncd secret\n\n" OTHER, MINE },
		/* The first that fits counts. */
		{ OTHER "default login any password word\n",
		  "default login any password word\n" },
		{ MINE "default login any password secret\n", MINE },
		{ "default login any password word\n" MINE,
		  "default login any password word\n" MINE },
		/* Cut off anywhere. */
		{ "machine", "" },
		{ "machine pulp.example password \"wor",
		  "machine pulp.example password \"wor" },
		{ "macdef", "" },
		{ "login", "" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		size_t size = strlen(cases[i].text), used;
		char *text = test_malloc(size + 1), *kept = test_malloc(size + 1);

		memcpy(text, cases[i].text, size); /* no NUL behind it */
		used = netrc_of_host(text, size, "pulp.example", kept);
		assert_true(used <= size);
		kept[used] = '\0';
		if (strcmp(kept, cases[i].kept) != 0)
			fail_msg("case %zu: %s", i, kept);
		test_free(text);
		test_free(kept);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(of_many_hosts_one_is_kept_as_it_stands),
	};

	return cmocka_run_group_tests_name("netrc", tests, NULL, NULL);
}
