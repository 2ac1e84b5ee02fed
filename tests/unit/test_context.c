/* SPDX-License-Identifier: Apache-2.0 */
#include "core/context.h"

#include <string.h>

#include "model/paths.h"
#include "support/cmocka.h"
#include "support/stage.h"

static void a_file_of_the_command_line_is_the_callers(void **state)
{
	struct error err = ERROR_INIT;
	struct stage stage;

	stage_set(&stage, *state);
	assert_ptr_equal(context_root_of(&stage.ctx, "license.token_file"),
			 &stage.ctx.root);
	assert_int_equal(settings_set(&stage.ctx.settings, "license.token_file=/x", &err),
			 0);
	assert_ptr_equal(context_root_of(&stage.ctx, "license.token_file"),
			 &stage.ctx.caller);
}

static void who_works_apart_has_a_cache_of_its_own(void **state)
{
	struct stage stage;

	stage_set(&stage, *state);
	assert_ptr_equal(context_cache(&stage.ctx), &stage.ctx.root);
	stage.ctx.job = JOB_FETCH;
	assert_ptr_equal(context_cache(&stage.ctx), &stage.ctx.cache);
}

static void of_the_logs_the_last_five_stay(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	struct stage stage;

	sysroot_mkdir(sysroot, PATHS_LOGS);
	for (unsigned i = 0; i < 7; i++) {
		char path[96];

		(void)snprintf(path, sizeof(path), PATHS_LOGS "/run-2026-0%u.log", i + 1);
		sysroot_write(sysroot, path, "");
	}
	stage_set(&stage, sysroot);

	assert_int_equal(context_log(&stage.ctx, &err), 0);
	assert_int_equal(context_log(&stage.ctx, &err), 0);

	sysroot_assert_entries(sysroot, PATHS_LOGS, 5);
	assert_true(stage.tools.log_fd >= 0);
	assert_non_null(strstr(stage.tools.log_path, PATHS_LOGS "/run-"));
	stage_clear(&stage);
}

static void a_transport_that_cannot_be_opened_is_asked_for_again(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	const struct transport *first;
	struct stage stage;

	stage_set(&stage, sysroot);
	(void)strcpy(stage.ctx.settings.http.ca_file, "/ca.pem");
	assert_null(context_transport(&stage.ctx, &err));
	assert_non_null(strstr(err.text, "http.ca_file"));

	sysroot_write(sysroot, "/ca.pem", "an authority");
	err = ERROR_INIT;
	first = context_transport(&stage.ctx, &err);
	assert_non_null(first);
	assert_ptr_equal(context_transport(&stage.ctx, &err), first);
	assert_int_equal(first->fd_count, 1);
	stage_clear(&stage);
}

/* Where the job's own URL is on this machine, its redirect may stay there. */
static void no_server_of_the_network_may_send_us_to_this_machine(void **state)
{
	static const struct {
		const char *url, *host;
		bool expected;
	} rows[] = {
		{ "https://x.example/a", "y.example", true },
		{ "https://x.example/a", "127.0.0.1", false },
		{ "https://x.example/a", "localhost", false },
		{ "https://127.0.0.1/a", "127.0.0.1", true },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup_json struct json *request =
			json_build("{s:s}", "url", rows[i].url);
		struct stage stage;

		stage_set(&stage, *state);
		if (stage.ctx.channel->may_connect(stage.ctx.channel->context, request,
						   rows[i].host,
						   8443) != rows[i].expected)
			fail_msg("row %zu", i);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_of_the_command_line_is_the_callers),
		TEST(who_works_apart_has_a_cache_of_its_own),
		TEST(of_the_logs_the_last_five_stay),
		TEST(a_transport_that_cannot_be_opened_is_asked_for_again),
		TEST(no_server_of_the_network_may_send_us_to_this_machine),
	};

	return cmocka_run_group_tests_name("context", tests, NULL, NULL);
}
