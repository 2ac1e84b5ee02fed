/* SPDX-License-Identifier: Apache-2.0 */
#include "core/last_run.h"

#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

/* A run that is at the step "fetch". */
static void prepare(const struct sysroot *sysroot, struct context *ctx)
{
	static struct tools tools = { .step = "fetch" };

	sysroot_mkdir(sysroot, "/run");
	*ctx = CONTEXT_INIT;
	settings_init(&ctx->settings);
	ctx->root = sysroot->root;
	ctx->tools = &tools;
}

static struct json *written(const struct context *ctx, int result)
{
	static const struct guest guest = { .gpus.count = 1,
					    .host.version = "550.90.05" };
	struct error err = ERROR_INIT;
	struct json *run;

	(void)error_set(&err, ERROR_NETWORK, "no answer");
	(void)error_hint(&err, "try later");
	last_run_write(ctx, &guest, 1795382601, result, &err);
	run = last_run_read(&ctx->root);
	assert_non_null(run);
	return run;
}

static void what_failed_is_read_back(void **state)
{
	const struct sysroot *sysroot = *state;
	struct metrics metrics = { .host_version = "" };
	cleanup_json struct json *run = NULL;
	struct context ctx;

	prepare(sysroot, &ctx);
	(void)strcpy(ctx.settings.driver.repository, "https://user:pass@pulp.example/x/");
	run = written(&ctx, -1);
	last_run_tell(run, &metrics);

	assert_int_equal(metrics.run_status, ERROR_NETWORK);
	assert_string_equal(metrics.run_step, "fetch");
	assert_string_equal(metrics.run_name, "network");
	assert_string_equal(metrics.host_version, "550.90.05");
	assert_string_equal(metrics.repository, "pulp.example");
	assert_int_equal(metrics.token_expires, 1795382601);
	assert_true(metrics.run_at > 0);
}

/* Of a run that ended well the error is nobody's. */
static void a_good_end_has_neither_step_nor_message(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_json struct json *run = NULL;
	struct context ctx;

	prepare(sysroot, &ctx);
	run = written(&ctx, 0);

	assert_string_equal(json_get_string(run, "name"), "ok");
	assert_null(json_get_string(run, "step"));
	assert_null(json_get_string(run, "message"));
}

static void a_file_of_garbage_is_no_run(void **state)
{
	const struct sysroot *sysroot = *state;

	sysroot_mkdir(sysroot, "/run");
	sysroot_mkdir(sysroot, PATHS_RUN);
	sysroot_write(sysroot, PATHS_LAST_RUN, "{\"timestamp\":");

	assert_null(last_run_read(&sysroot->root));
}

/* The monitor writes status.json only when it says something new. */
static void the_status_gets_no_time_from_it(void **state)
{
	const struct sysroot *sysroot = *state;
	cleanup_json struct json *status = json_build("{}");
	const struct json *run;
	struct context ctx;

	prepare(sysroot, &ctx);
	assert_int_equal(last_run_add(status, written(&ctx, -1)), 0);

	run = json_get(status, "run");
	assert_string_equal(json_get_string(run, "hint"), "try later");
	assert_null(json_get(run, "timestamp"));
}

/* Which failures keep a service's timer from starting it again. */
static const struct {
	enum error_code code;
	bool passing;
	const char *start;
	bool said;
} ends[] = {
	{ ERROR_USAGE, false, "5f1c", true },
	{ ERROR_INTEGRITY, false, "5f1c", true },
	{ ERROR_INTEGRITY, true, "5f1c", false },
	{ ERROR_NETWORK, true, "5f1c", false },
	{ ERROR_NO_GPU, false, "5f1c", false }, /* nothing is wrong */
	{ ERROR_USAGE, false, NULL, false },    /* by hand */
};

static void the_timer_is_told_of_what_no_waiting_mends(void **state)
{
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(ends); i++) {
		struct error err = ERROR_INIT, ignored = ERROR_INIT;
		cleanup_free char *text = NULL;
		size_t size;

		sysroot_empty(sysroot);
		sysroot_mkdir(sysroot, "/run");
		(void)error_set(&err, ends[i].code, "no");
		(void)error_passing(&err, ends[i].passing);
		assert_int_equal(ends[i].start ? setenv("INVOCATION_ID", ends[i].start, 1)
					       : unsetenv("INVOCATION_ID"),
				 0);

		last_run_say_final(&sysroot->root, &err);

		if (file_read(&sysroot->root, PATHS_FINAL, 64, &text, &size, &ignored) ==
		    0)
			assert_string_equal(text, "5f1c\n");
		assert_int_equal(text != NULL, ends[i].said);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_failed_is_read_back, sysroot_setup,
						sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_good_end_has_neither_step_nor_message,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_file_of_garbage_is_no_run,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_status_gets_no_time_from_it,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			the_timer_is_told_of_what_no_waiting_mends, sysroot_setup,
			sysroot_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
