/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/transfer.h"

#include "base/macro.h"
#include "support/cmocka.h"

static void ranges_only_where_they_are_as_well_established_as_the_whole(void **state)
{
	static const struct {
		struct transfer_facts facts;
		enum transfer transfer;
	} cases[] = {
		/* nothing but one file, here or there */
		{ { .local = true, .bundle = true, .warn = true }, TRANSFER_LOCAL },
		{ { .https = true }, TRANSFER_WHOLE },
		{ { .https = true, .indexed = true, .warn = true }, TRANSFER_WHOLE },
		/* what vouches, one by one */
		{ { .bundle = true }, TRANSFER_WHOLE },
		{ { .bundle = true, .https = true }, TRANSFER_MEMBER },
		{ { .bundle = true, .warn = true }, TRANSFER_MEMBER },
		{ { .bundle = true, .indexed = true }, TRANSFER_MEMBER },
		/* a sum that can be checked is checked, unless the index knows better */
		{ { .bundle = true, .https = true, .summed = true }, TRANSFER_WHOLE },
		{ { .bundle = true, .warn = true, .summed = true }, TRANSFER_WHOLE },
		{ { .bundle = true, .https = true, .summed = true, .indexed = true },
		  TRANSFER_MEMBER },
		/* a pin is of the whole, whatever the server says */
		{ { .bundle = true, .https = true, .pinned = true }, TRANSFER_WHOLE },
		{ { .bundle = true, .warn = true, .pinned = true }, TRANSFER_WHOLE },
		{ { .bundle = true, .indexed = true, .pinned = true }, TRANSFER_WHOLE },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(transfer_decide(&cases[i].facts), cases[i].transfer);
}

static void the_names_are_the_contracts(void **state)
{
	(void)state;
	assert_string_equal(transfer_name(TRANSFER_LOCAL), "local");
	assert_string_equal(transfer_name(TRANSFER_MEMBER), "member");
	assert_string_equal(transfer_name(TRANSFER_WHOLE), "whole");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			ranges_only_where_they_are_as_well_established_as_the_whole),
		cmocka_unit_test(the_names_are_the_contracts),
	};

	return cmocka_run_group_tests_name("transfer", tests, NULL, NULL);
}
