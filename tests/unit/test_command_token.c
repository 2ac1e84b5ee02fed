/* wrap: gridd_look gridd_restart */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "steps/license/gridd.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define NOBODY 65534
#define GOOD                                                                              \
	"echo '{\"result\":{\"valid\":true,\"problems\":[],\"signature\":\"unverified\"," \
	"\"expires\":null}}' >&3"
#define BAD                                                                         \
	"echo '{\"result\":{\"valid\":false,\"problems\":[{\"code\":\"malformed\"," \
	"\"severity\":\"error\",\"message\":\"it is no JWT\"}]}}' >&3"

static const struct agent_stage_answer good[] = { { "token", GOOD }, { NULL, NULL } };
static const struct agent_stage_answer bad[] = { { "token", BAD }, { NULL, NULL } };

/* The daemon of the guest, instead of this machine's. */
static int restarts;

int __wrap_gridd_look(struct gridd_state *ret_state, struct error *err);
int __wrap_gridd_look(struct gridd_state *ret_state, struct error *err)
{
	(void)err;
	*ret_state = (struct gridd_state){ .exists = true };
	return 0;
}

int __wrap_gridd_restart(bool reload, unsigned timeout_s, int cancel_fd,
			 struct error *err);
int __wrap_gridd_restart(bool reload, unsigned timeout_s, int cancel_fd,
			 struct error *err)
{
	(void)reload;
	(void)timeout_s;
	(void)cancel_fd;
	(void)err;
	restarts++;
	return 0;
}

static struct machine machine;
static struct request request;
static char path[PATH_MAX];

/* A guest that needs a license, and a token in the caller's folder. */
static struct agent *begin(const struct sysroot *sysroot,
			   const struct agent_stage_answer *answers)
{
	struct agent *agent;

	sysroot_empty(sysroot);
	restarts = 0;
	assert_true(text_format(path, sizeof(path), "%s/new.tok", sysroot->dir));
	sysroot_write(sysroot, "/new.tok", "eyJ.new");
	request = (struct request){ .operand_count = 1, .operands = { path } };
	agent = agent_stage_guest(sysroot, &request.options, &machine);
	agent->context.settings.license.feature_type = 2;
	agent_stage_worker(agent, sysroot, answers);
	return agent;
}

static void the_named_file_is_checked(void **state)
{
	static const struct {
		const struct agent_stage_answer *answers;
		bool valid;
		const char *words;
	} rows[] = { { good, true, "" }, { bad, false, "it is no JWT" } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, rows[i].answers);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		int result = command_token_check(agent, &request, &report, &err);

		assert_int_equal(result, rows[i].valid ? 0 : -1);
		assert_int_equal(err.code, rows[i].valid ? ERROR_NONE : ERROR_TOKEN);
		assert_int_equal(json_get_bool(report, "valid", !rows[i].valid),
				 rows[i].valid);
		assert_non_null(strstr(err.text, rows[i].words));
		assert_int_equal(text_starts(err.text, path), !rows[i].valid);
		agent_stage_end(agent);
	}
}

static void without_a_name_the_installed_one_is_checked(void **state)
{
	for (unsigned there = 0; there < 2; there++) {
		struct agent *agent = begin(*state, good);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		request.operand_count = 0;
		if (there) {
			sysroot_mkdir(*state, PATHS_TOKENS);
			sysroot_write(*state, PATHS_TOKEN, "eyJ.old");
		}
		assert_int_equal(command_token_check(agent, &request, &report, &err),
				 there ? 0 : -1);
		assert_int_equal(json_get_bool(report, "valid", !there), there);
		assert_int_equal(err.code, there ? ERROR_NONE : ERROR_TOKEN);
		agent_stage_end(agent);
	}
}

static void a_named_file_that_is_not_there_is_a_missing_token(void **state)
{
	struct agent *agent = begin(*state, good);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	const struct json *problem;

	request.operands[0] = "/nowhere/client.tok";
	assert_int_equal(command_token_check(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_TOKEN);
	problem = json_at(json_get(report, "problems"), 0);
	assert_string_equal(json_get_string(problem, "code"), "missing");
	agent_stage_end(agent);
}

static void the_named_file_is_installed_and_the_daemon_told(void **state)
{
	struct agent *agent = begin(*state, good);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	if (command_token_install(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, PATHS_TOKEN, "eyJ.new");
	assert_int_equal(restarts, 1);
	assert_int_equal(json_count(json_get(report, "steps")), 2);
	agent_stage_end(agent);
}

static void a_bad_one_leaves_the_installed_one(void **state)
{
	struct agent *agent = begin(*state, bad);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_mkdir(*state, PATHS_TOKENS);
	sysroot_write(*state, PATHS_TOKEN, "eyJ.old");
	assert_int_equal(command_token_install(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_TOKEN);
	sysroot_assert_text(*state, PATHS_TOKEN, "eyJ.old");
	assert_int_equal(restarts, 0);
	agent_stage_end(agent);
}

/* Who may not read it learns that, not that it is no token. */
static void a_file_that_cannot_be_opened_is_named(void **state)
{
	static const struct {
		int (*run)(struct agent *agent, const struct request *request,
			   struct json **ret_report, struct error *err);
		bool there;
		enum error_code code;
	} rows[] = {
		{ command_token_install, false, ERROR_TOKEN },
		{ command_token_install, true, ERROR_PERMISSION },
		{ command_token_check, true, ERROR_PERMISSION },
	};
	bool is_root = geteuid() == 0;

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, good);
		struct json *report = NULL;
		struct error err = ERROR_INIT;
		int result;

		if (rows[i].there)
			assert_int_equal(chmod(path, 0), 0);
		else
			assert_int_equal(unlink(path), 0);
		assert_true(!is_root || seteuid(NOBODY) == 0);
		result = rows[i].run(agent, &request, &report, &err);
		assert_true(!is_root || seteuid(0) == 0);

		assert_int_equal(result, -1);
		assert_null(report);
		assert_int_equal(err.code, rows[i].code);
		assert_non_null(strstr(err.text, path));
		agent_stage_end(agent);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_named_file_is_checked),
		TEST(without_a_name_the_installed_one_is_checked),
		TEST(a_named_file_that_is_not_there_is_a_missing_token),
		TEST(the_named_file_is_installed_and_the_daemon_told),
		TEST(a_bad_one_leaves_the_installed_one),
		TEST(a_file_that_cannot_be_opened_is_named),
	};

	return cmocka_run_group_tests_name("command_token", tests, NULL, NULL);
}
