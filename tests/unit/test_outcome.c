/* SPDX-License-Identifier: Apache-2.0 */
#include "model/outcome.h"

#include "support/cmocka.h"

static void outcomes_have_the_contracts_names(void **state)
{
	(void)state;
	assert_string_equal(outcome_kind_name(OUTCOME_CHANGED), "changed");
	assert_string_equal(outcome_kind_name(OUTCOME_UNCHANGED), "unchanged");
	assert_string_equal(outcome_kind_name(OUTCOME_SKIPPED), "skipped");
	assert_string_equal(outcome_kind_name(OUTCOME_FAILED), "failed");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outcomes_have_the_contracts_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
