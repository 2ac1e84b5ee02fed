/* SPDX-License-Identifier: Apache-2.0 */
#include "core/pipeline.h"

#include <string.h>

#include "base/text.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/stage.h"

struct called {
	char names[64]; /* of the steps that ran, in order */
	const char *fails;
	const char *says; /* NULL: of a compiler */
	unsigned again;   /* so often "two" asks for "one" once more */
};

static int run_named(struct called *called, const char *name, struct outcome *outcome,
		     struct error *err)
{
	size_t used = strlen(called->names);

	(void)snprintf(called->names + used, sizeof(called->names) - used, "%s ", name);
	if (called->fails && strcmp(called->fails, name) == 0)
		return error_set(err, ERROR_BUILD, "%s",
				 called->says ? called->says : "no compiler");
	outcome_tell(outcome, strcmp(name, "two") == 0, "done");
	if (strcmp(name, "two") == 0 && called->again > 0) {
		called->again--;
		outcome->kind = OUTCOME_FAILED;
		outcome->again = "one";
	}
	return 0;
}

static int run_one(void *subject, struct outcome *outcome, struct error *err)
{
	return run_named(subject, "one", outcome, err);
}

static int run_two(void *subject, struct outcome *outcome, struct error *err)
{
	return run_named(subject, "two", outcome, err);
}

static int run_three(void *subject, struct outcome *outcome, struct error *err)
{
	return run_named(subject, "three", outcome, err);
}

static const struct pipeline_step steps[] = {
	{ "one", run_one, JOB_RUN | JOB_FETCH, false },
	{ "two", run_two, JOB_RUN | JOB_SEAL, false },
	{ "three", run_three, JOB_RUN, true },
};

struct scene {
	struct stage stage;
	struct state state;
	struct called called;
	struct pipeline pipeline;
	struct pipeline_report report;
	struct error err;
};

static struct scene *scene_of(const struct sysroot *sysroot)
{
	static struct scene scene;

	scene = (struct scene){ .err = ERROR_INIT };
	stage_set(&scene.stage, sysroot);
	assert_int_equal(state_load(&sysroot->root, &scene.state, &scene.err), 0);
	scene.pipeline = (struct pipeline){ .ctx = &scene.stage.ctx,
					    .steps = steps,
					    .count = ARRAY_SIZE(steps),
					    .subject = &scene.called,
					    .state = &scene.state };
	return &scene;
}

static int run(struct scene *scene)
{
	return pipeline_run(&scene->pipeline, &scene->report, &scene->err);
}

static void the_steps_of_the_job_run_in_order(void **state)
{
	struct scene *scene = scene_of(*state);

	assert_int_equal(run(scene), 0);

	assert_string_equal(scene->called.names, "one two three ");
	assert_int_equal(scene->report.count, 3);
	assert_int_equal(scene->report.outcomes[0].kind, OUTCOME_UNCHANGED);
	assert_int_equal(scene->report.outcomes[1].kind, OUTCOME_CHANGED);
	assert_string_equal(scene->stage.tools.step, "three");
	state_done(&scene->state);
}

static void a_failure_ends_it_and_names_its_step(void **state)
{
	struct scene *scene = scene_of(*state);

	scene->called.fails = "two";

	assert_int_equal(run(scene), -1);

	assert_string_equal(scene->called.names, "one two ");
	assert_int_equal(scene->report.count, 2);
	assert_int_equal(scene->report.outcomes[1].kind, OUTCOME_FAILED);
	assert_string_equal(scene->report.outcomes[1].detail, "no compiler");
	assert_string_equal(scene->stage.tools.step, "two");
	state_done(&scene->state);
}

/* Whichever step it was: on a running guest, whose SELinux it can be. */
static void who_else_may_have_denied_it_is_said(void **state)
{
	sysroot_mkdir(*state, "/sys/fs/selinux");
	sysroot_write(*state, "/sys/fs/selinux/enforce", "1");
	for (int offline = 0; offline < 2; offline++) {
		struct scene *scene = scene_of(*state);

		scene->stage.ctx.offline = offline;
		scene->called.fails = "two";
		scene->called.says = "make: Permission denied";

		assert_int_equal(run(scene), -1);

		assert_int_equal(strstr(scene->err.text, "SELinux") != NULL, !offline);
		assert_string_equal(scene->report.outcomes[1].detail, scene->err.text);
		state_done(&scene->state);
	}
}

/* Each try is in the report; the record has the last. */
static void a_step_may_ask_for_an_earlier_one_again(void **state)
{
	static const enum outcome_kind kinds[] = { OUTCOME_UNCHANGED, OUTCOME_FAILED,
						   OUTCOME_UNCHANGED, OUTCOME_CHANGED,
						   OUTCOME_UNCHANGED };
	struct scene *scene = scene_of(*state);

	scene->called.again = 1;

	assert_int_equal(run(scene), 0);

	assert_string_equal(scene->called.names, "one two one two three ");
	assert_int_equal(scene->report.count, ARRAY_SIZE(kinds));
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++)
		assert_int_equal(scene->report.outcomes[i].kind, kinds[i]);
	assert_string_equal(
		json_get_string(json_get(scene->state.steps, "two"), "outcome"),
		"changed");
	state_done(&scene->state);
}

static void a_step_that_asks_for_ever_is_a_bug_and_has_an_end(void **state)
{
	struct scene *scene = scene_of(*state);

	scene->called.again = 1000;
	scene->called.names[0] = '\0';

	assert_int_equal(run(scene), -1);

	assert_int_equal(scene->err.code, ERROR_INTERNAL);
	state_done(&scene->state);
}

static void in_an_image_what_needs_a_running_guest_is_skipped(void **state)
{
	struct scene *scene = scene_of(*state);

	scene->stage.ctx.offline = true;

	assert_int_equal(run(scene), 0);

	assert_string_equal(scene->called.names, "one two ");
	assert_int_equal(scene->report.outcomes[2].kind, OUTCOME_SKIPPED);
	state_done(&scene->state);
}

static void what_did_something_is_on_record(void **state)
{
	const struct sysroot *sysroot = *state;
	struct scene *scene = scene_of(sysroot);
	struct state loaded;

	assert_int_equal(run(scene), 0);

	assert_int_equal(state_load(&sysroot->root, &loaded, &scene->err), 0);
	assert_non_null(json_get(loaded.steps, "two"));
	assert_null(json_get(loaded.steps, "one"));
	state_done(&loaded);
	state_done(&scene->state);
}

/* They work in folders of their own, or take away what the record is about. */
static void other_jobs_leave_no_record(void **state)
{
	static const enum job jobs[] = { JOB_FETCH, JOB_SEAL };
	const struct sysroot *sysroot = *state;

	for (size_t i = 0; i < ARRAY_SIZE(jobs); i++) {
		struct scene *scene = scene_of(sysroot);
		struct stat st;

		scene->stage.ctx.job = jobs[i];
		scene->stage.tools.step = "the command";
		assert_int_equal(run(scene), 0);
		assert_false(root_stat(&sysroot->root, PATHS_STATE_FILE, &st));
		assert_string_equal(scene->stage.tools.step,
				    jobs[i] == JOB_SEAL ? "the command" : "one");
		state_done(&scene->state);
	}
}

static void how_it_ended_is_kept_for_status(void **state)
{
	struct scene *scene = scene_of(*state);

	scene->called.fails = "one";
	assert_int_equal(run(scene), -1);

	pipeline_note_end(&scene->stage.ctx, &scene->state, -1, &scene->err, NULL);

	assert_string_equal(json_get_string(scene->state.trouble, "step"), "one");
	assert_string_equal(json_get_string(scene->state.trouble, "message"),
			    "no compiler");
	pipeline_note_end(&scene->stage.ctx, &scene->state, 0, &scene->err, NULL);
	assert_null(scene->state.trouble);
	state_done(&scene->state);
}

static void the_report_is_the_contracts_object(void **state)
{
	struct scene *scene = scene_of(*state);
	cleanup_json struct json *report = NULL;

	assert_int_equal(run(scene), 0);
	report = pipeline_report_json(&scene->report);

	assert_int_equal(json_get_int(report, "schema", 0), 1);
	assert_int_equal(json_count(json_get(report, "steps")), 3);
	assert_string_equal(
		json_get_string(json_at(json_get(report, "steps"), 1), "outcome"),
		"changed");
	assert_int_equal(json_count(json_get(report, "beside")), 0);
	state_done(&scene->state);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(the_steps_of_the_job_run_in_order),
		TEST(a_failure_ends_it_and_names_its_step),
		TEST(who_else_may_have_denied_it_is_said),
		TEST(a_step_may_ask_for_an_earlier_one_again),
		TEST(a_step_that_asks_for_ever_is_a_bug_and_has_an_end),
		TEST(in_an_image_what_needs_a_running_guest_is_skipped),
		TEST(what_did_something_is_on_record),
		TEST(other_jobs_leave_no_record),
		TEST(how_it_ended_is_kept_for_status),
		TEST(the_report_is_the_contracts_object),
	};

	return cmocka_run_group_tests_name("pipeline", tests, NULL, NULL);
}
