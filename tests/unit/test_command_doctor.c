/* wrap: examine_guest support_write command_status */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <string.h>

#include "doctor/examine.h"
#include "doctor/support.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

/* What an examination finds, and what becomes of the archive. */
static struct {
	bool sick, interrupted, full;
	size_t written;
	char names[128], file[64];
} world;

int __wrap_examine_guest(const struct context *ctx, const struct guest *guest,
			 const struct state *state, struct json **ret_report,
			 struct error *err);
int __wrap_examine_guest(const struct context *ctx, const struct guest *guest,
			 const struct state *state, struct json **ret_report,
			 struct error *err)
{
	(void)ctx;
	(void)state;
	assert_int_equal(guest->gpus.count, 1);
	*ret_report = json_build("{s:[{s:s}]}", "causes", "code", "no_token");
	return world.sick ? error_set(err, ERROR_TOKEN, "a long story") : 0;
}

int __wrap_command_status(struct agent *agent, const struct request *request,
			  struct json **ret_report, struct error *err);
int __wrap_command_status(struct agent *agent, const struct request *request,
			  struct json **ret_report, struct error *err)
{
	(void)agent;
	(void)ret_report;
	assert_int_equal(request->wait_s, 0);
	return world.interrupted ? error_set_interrupted(err)
				 : error_set(err, ERROR_DRIVER, "no answer");
}

int __wrap_support_write(const struct context *ctx, const struct support_report *reports,
			 size_t count, const char *file, struct error *err);
int __wrap_support_write(const struct context *ctx, const struct support_report *reports,
			 size_t count, const char *file, struct error *err)
{
	(void)ctx;
	world.written++;
	world.names[0] = '\0';
	for (size_t i = 0; i < count; i++) {
		(void)strcat(world.names, reports[i].name);
		(void)strcat(world.names, reports[i].json ? " " : ":nothing ");
	}
	(void)strcpy(world.file, file);
	return world.full ? error_set(err, ERROR_INTERNAL, "no room") : 0;
}

static struct machine machine;
static struct request request;

static struct agent *begin(const struct sysroot *sysroot)
{
	sysroot_empty(sysroot);
	memset(&world, 0, sizeof(world));
	request = (struct request){ .wait_s = 7 };
	return agent_stage_guest(sysroot, &request.options, &machine);
}

static void the_error_names_the_likeliest_cause(void **state)
{
	static const struct {
		bool sick, json;
		const char *text;
	} rows[] = {
		{ true, false, "likeliest cause: no_token" },
		{ true, true, "a long story" },
		{ false, false, "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		world.sick = rows[i].sick;
		request.json = rows[i].json;
		assert_int_equal(command_doctor(agent, &request, &report, &err),
				 rows[i].sick ? -1 : 0);

		assert_int_equal(err.code, rows[i].sick ? ERROR_TOKEN : ERROR_NONE);
		assert_string_equal(err.text, rows[i].text);
		assert_non_null(report);
		assert_int_equal(world.written, 0);
		agent_stage_end(agent);
	}
}

/* That a command fails is what it says: the archive is written all the same. */
static void the_archive_has_what_the_other_commands_say(void **state)
{
	struct agent *agent = begin(*state);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	request.bundle = "/support.tar";
	world.sick = true;
	assert_int_equal(command_doctor(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_TOKEN);
	assert_string_equal(world.names, "doctor.json status.json:nothing detect.json "
					 "config.json ");
	assert_string_equal(world.file, "/support.tar");
	agent_stage_end(agent);
}

static void an_archive_that_is_not_written_is_the_error(void **state)
{
	for (unsigned interrupted = 0; interrupted < 2; interrupted++) {
		struct agent *agent = begin(*state);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		request.bundle = "/support.tar";
		world.full = true;
		world.interrupted = interrupted;
		assert_int_equal(command_doctor(agent, &request, &report, &err), -1);

		assert_int_equal(err.interrupted, interrupted);
		assert_int_equal(world.written, !interrupted);
		if (!interrupted)
			assert_string_equal(err.text, "no room");
		agent_stage_end(agent);
	}
}

/* Before the examination, which takes its time. */
static void a_place_for_no_archive_is_said_first(void **state)
{
	struct agent *agent = begin(*state);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	request.bundle = "/none/support.tar";
	assert_int_equal(command_doctor(agent, &request, &report, &err), -1);
	assert_int_equal(err.code, ERROR_PERMISSION);
	assert_non_null(strstr(err.text, "--bundle /none/support.tar: "));
	assert_null(report);
	agent_stage_end(agent);
}

static void an_image_has_no_doctor(void **state)
{
	struct agent *agent = begin(*state);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->context.offline = true;
	assert_int_equal(command_doctor(agent, &request, &report, &err), -1);
	assert_int_equal(err.code, ERROR_USAGE);
	assert_null(report);
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_error_names_the_likeliest_cause),
		TEST(the_archive_has_what_the_other_commands_say),
		TEST(an_archive_that_is_not_written_is_the_error),
		TEST(a_place_for_no_archive_is_said_first),
		TEST(an_image_has_no_doctor),
	};

	return cmocka_run_group_tests_name("command_doctor", tests, NULL, NULL);
}
