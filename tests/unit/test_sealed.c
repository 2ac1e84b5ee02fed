/* SPDX-License-Identifier: Apache-2.0 */
#include "steps/sealed.h"

#include <string.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/script.h"
#include "support/stage.h"

static struct script script;

static void begin(const struct sysroot *sysroot, const struct script_answer *answers)
{
	sysroot_empty(sysroot);
	sysroot_mkdir(sysroot, "/run/systemd/system");
	stage_add_program(sysroot, "/usr/bin/systemctl", "");
	script_init(&script, answers, NULL);
}

static int seal(const struct sysroot *sysroot, bool *ret_changed, struct error *err)
{
	return sealed_begin(&script.runner, &sysroot->root, ret_changed, err);
}

/* Each unit that could bring something back, in one call that names them all. */
static void what_acts_by_itself_is_stopped(void **state)
{
	static const char *const units[] = {
		"vgpu-guest-agent.timer",           "vgpu-guest-agent-hourly.timer",
		"vgpu-guest-agent-monitor.service", "vgpu-guest-agent-rotate.path",
		"vgpu-guest-agent-rotate.service",  "vgpu-guest-agent.service",
	};
	static const struct script_answer answers[] = { { .match = "is-active" },
							{ .match = " stop " },
							{ .match = NULL } };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	bool changed = false;
	const char *stop;

	begin(sysroot, answers);
	assert_false(sealed_is(&sysroot->root));
	assert_int_equal(seal(sysroot, &changed, &err), 0);

	assert_true(changed);
	assert_true(sealed_is(&sysroot->root));
	stop = strstr(script.log, " stop ");
	assert_non_null(stop);
	for (size_t i = 0; i < ARRAY_SIZE(units); i++)
		assert_non_null(strstr(stop, units[i]));
}

/* Also where the agent was put there without its units, or without systemd. */
static void what_is_not_there_is_not_stopped(void **state)
{
	static const struct script_answer inactive[] = {
		{ .match = "is-active", .status = 3 },
		{ .match = " stop ", .status = 5 },
		{ .match = NULL },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	bool changed = true;

	begin(sysroot, inactive);
	assert_int_equal(seal(sysroot, &changed, &err), 0);
	assert_false(changed);

	root_discard(&sysroot->root, "/usr/bin/systemctl");
	script_init(&script, &inactive[2], NULL);
	changed = true;
	assert_int_equal(seal(sysroot, &changed, &err), 0);
	assert_false(changed);
	assert_true(sealed_is(&sysroot->root));
}

/* The mark comes first: what is not stopped obeys it all the same. */
static void units_that_stay_are_an_error(void **state)
{
	static const struct script_answer rows[][3] = {
		{ { .match = "is-active" }, { .match = " stop ", .status = 1 } },
		{ { .match = "is-active" }, { .match = " stop ", .signal = 9 } },
		{ { .match = "is-active", .signal = 15 } },
	};
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct error err = ERROR_INIT;
		bool changed;

		begin(sysroot, rows[i]);
		assert_int_equal(seal(sysroot, &changed, &err), -1);
		assert_true(sealed_is(&sysroot->root));
	}
}

static void what_is_enabled_starts_again(void **state)
{
	static const struct script_answer answers[] = {
		{ .match = "is-enabled --quiet vgpu-guest-agent.timer" },
		{ .match = "is-enabled", .status = 1 },
		{ .match = " start " },
		{ .match = NULL },
	};
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	begin(sysroot, answers);
	assert_int_equal(sealed_end(&script.runner, &sysroot->root, &err), 0);
	assert_string_equal(script.log, "");

	sysroot_write(sysroot, PATHS_SEALED, "");
	assert_int_equal(sealed_end(&script.runner, &sysroot->root, &err), 0);
	assert_false(sealed_is(&sysroot->root));
	assert_int_equal(script_count(&script, " start "), 1);
	assert_int_equal(script_count(&script, "start --no-block vgpu-guest-agent.timer"),
			 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_acts_by_itself_is_stopped),
		TEST(what_is_not_there_is_not_stopped),
		TEST(units_that_stay_are_an_error),
		TEST(what_is_enabled_starts_again),
	};

	return cmocka_run_group_tests_name("sealed", tests, NULL, NULL);
}
