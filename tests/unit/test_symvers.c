/* SPDX-License-Identifier: Apache-2.0 */
#include "model/kernel/symvers.h"

#include <string.h>

#include "base/macro.h"
#include "support/cmocka.h"

static const char nvidia[] = "0xe9ffc063\tdown_trylock\n0x00000001\tmodule_layout\n";
static const char uvm[] = "0x00000001\tmodule_layout\n0x6b648318\tinode_init_once\n";

static void read_both(struct symvers *symvers)
{
	struct error err = ERROR_INIT;

	assert_int_equal(symvers_read(span_of(nvidia), symvers, &err), 0);
	assert_int_equal(symvers_read(span_of(uvm), symvers, &err), 0);
}

static void the_symbols_of_all_modules_are_kept_once_and_in_order(void **state)
{
	cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT;
	cleanup_free char *text = NULL;

	(void)state;
	read_both(&symvers);
	text = symvers_print(&symvers);

	assert_string_equal(text, "0xe9ffc063\tdown_trylock\n"
				  "0x6b648318\tinode_init_once\n"
				  "0x00000001\tmodule_layout\n");
}

static void a_symbol_has_one_version(void **state)
{
	cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT;
	struct error err = ERROR_INIT;

	(void)state;
	read_both(&symvers);
	assert_int_equal(
		symvers_read(span_of("0x00000002\tmodule_layout\n"), &symvers, &err), -1);
	assert_int_equal(err.code, ERROR_INTEGRITY);
	assert_non_null(strstr(err.text, "module_layout"));
}

static void what_is_no_line_of_modprobe_is_refused(void **state)
{
	static const char *const bad[] = {
		"down_trylock\n",
		"0x\tdown_trylock\n",
		"0x123456789\tdown_trylock\n",
		"1234abcd\tdown_trylock\n",
		"0x12g4\tdown_trylock\n",
		"0x12345678\t\n",
		"0x12345678 down_trylock\n",
		"0x12345678\tdown trylock\n",
		"0x12345678\tdown\x01\n",
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT;
		struct error err = ERROR_INIT;

		if (symvers_read(span_of(bad[i]), &symvers, &err) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(err.code, ERROR_INTEGRITY);
	}
}

static const struct {
	const char *what, *kernel, *contradicted; /* NULL: it agrees */
	size_t confirmed;
} cases[] = {
	{ "nothing", "", NULL, 0 },
	{ "another symbol", "0x11111111\tkfree\n", NULL, 0 },
	{ "the same", "0xe9ffc063\tdown_trylock\n", NULL, 1 },
	{ "twice the same", "0xe9ffc063\tdown_trylock\n0xE9FFC063\tdown_trylock\n", NULL,
	  1 },
	{ "Module.symvers",
	  "0xe9ffc063\tdown_trylock\tvmlinux\tEXPORT_SYMBOL\t\n"
	  "0x6b648318\tinode_init_once\tvmlinux\tEXPORT_SYMBOL_GPL\tNS\n",
	  NULL, 2 },
	{ "one that differs", "0x00000001\tmodule_layout\n0xe9ffc064\tdown_trylock\n",
	  "down_trylock", 1 },
	{ "what says nothing", "modprobe: none\n\n0x1\n", NULL, 0 },
	{ "a name that only begins so", "0x11111111\tdown_trylock_too\n", NULL, 0 },
};

static void the_kernel_confirms_or_contradicts(void **state)
{
	(void)state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(symvers_done) struct symvers symvers = SYMVERS_INIT;
		char symbol[SYMVERS_NAME_MAX] = "";
		bool agrees;

		read_both(&symvers);
		agrees = symvers_confirm(&symvers, span_of(cases[i].kernel), symbol);

		if (agrees != !cases[i].contradicted ||
		    (!agrees && strcmp(symbol, cases[i].contradicted) != 0) ||
		    symvers.confirmed != cases[i].confirmed)
			fail_msg("%s: %s, %zu confirmed", cases[i].what, symbol,
				 symvers.confirmed);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_symbols_of_all_modules_are_kept_once_and_in_order),
		cmocka_unit_test(a_symbol_has_one_version),
		cmocka_unit_test(what_is_no_line_of_modprobe_is_refused),
		cmocka_unit_test(the_kernel_confirms_or_contradicts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
