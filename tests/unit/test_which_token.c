/* wrap: adjtimex */
/* SPDX-License-Identifier: Apache-2.0 */
#include "license/which_token.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/timex.h>
#include <unistd.h>

#include "base/file.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/stage.h"

#define FILE_PATH "/etc/client.tok"
#define OTHER "/etc/nvidia/ClientConfigToken/mine.tok"
#define GOOD \
	"echo '{\"result\":{\"problems\":[],\"expires\":\"2030-01-02T03:04:05Z\"}}' >&3"
#define GOOD_EXPIRES 1893553445
#define WITH(severity, code)                                         \
	"echo '{\"result\":{\"problems\":[{\"severity\":\"" severity \
	"\",\"code\":\"" code "\",\"message\":\"it is so\"}]}}' >&3"

static unsigned looks;  /* at the kernel's clock */
static unsigned set_at; /* the look from which on it is synchronised; 0: never */
int __wrap_adjtimex(struct timex *timex);

int __wrap_adjtimex(struct timex *timex)
{
	looks++;
	timex->status = set_at && looks >= set_at ? 0 : STA_UNSYNC;
	return TIME_OK;
}

struct scene {
	struct stage stage;
	struct metadata metadata;
	struct lease lease;
};

static void prepare(const struct sysroot *sysroot, struct scene *scene,
		    const char *worker)
{
	looks = 0;
	set_at = 1;
	scene->metadata = METADATA_INIT;
	scene->lease = LEASE_INIT;
	stage_set(&scene->stage, sysroot);
	scene->stage.ctx.settings.license.wait = 0;
	if (worker)
		stage_set_worker(&scene->stage, sysroot, worker);
}

static int setup(void **state)
{
	(void)sysroot_setup(state);
	sysroot_mkdir(*state, PATHS_TOKENS);
	return 0;
}

static int memory_of(const char *text)
{
	int fd = memfd_create("test", MFD_CLOEXEC);
	struct error err = ERROR_INIT;

	assert_true(fd >= 0);
	assert_int_equal(file_write_all(fd, text, strlen(text), &err), 0);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void assert_holds(int fd, const char *expected)
{
	char text[64] = "";

	assert_true(pread(fd, text, sizeof(text) - 1, 0) >= 0);
	assert_string_equal(text, expected);
}

/* Every source has one of its own, from the first that is there on. */
static void the_first_source_that_has_one_counts(void **state)
{
	static const struct {
		bool typed, told, keeps, file, installed;
		const char *source, *text; /* NULL: there is none */
	} cases[] = {
		{ true, true, false, true, true, "typed.tok", "typed" },
		{ false, true, false, true, true, "vendor data", "told" },
		{ false, false, false, true, true, "license.token_file", "file" },
		{ false, false, true, true, true, "the installed token", "installed" },
		{ false, false, false, false, true, "the installed token", "installed" },
		{ false, false, false, false, false, "the installed token", NULL },
	};
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, FILE_PATH, "file");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
		cleanup_fd int typed = cases[i].typed ? memory_of("typed") : -1;
		struct error err = ERROR_INIT;
		char told[] = "told";
		struct scene scene;

		prepare(sysroot, &scene, NULL);
		scene.lease.token_fd = typed;
		scene.lease.token_path = "typed.tok";
		scene.metadata.token = cases[i].told ? told : NULL;
		scene.metadata.token_size = strlen("told");
		strcpy(scene.metadata.token_source, "vendor data");
		scene.metadata.keeps_token = cases[i].keeps;
		strcpy(scene.stage.ctx.settings.license.token_file,
		       cases[i].file ? FILE_PATH : "");
		root_discard(&sysroot->root, OTHER);
		if (cases[i].installed)
			sysroot_write(sysroot, OTHER, "installed");

		assert_int_equal(which_token_open(&scene.stage.ctx, &scene.metadata,
						  &scene.lease, &token, &err),
				 0);

		assert_string_equal(token.source, cases[i].source);
		assert_int_equal(token.fd >= 0, cases[i].text != NULL);
		if (cases[i].text)
			assert_holds(token.fd, cases[i].text);
		assert_int_equal(token.installed,
				 strcmp(token.source, "the installed token") == 0);
	}
}

/* A unit does not put the metadata's back; a run by hand and a new token may. */
static void a_token_that_was_installed_by_hand_stays(void **state)
{
	static const struct {
		bool by_hand, unattended;
		enum job job;
		const char *text;
	} rows[] = {
		{ true, true, JOB_RUN, "by hand" },
		{ true, false, JOB_RUN, "told" },
		{ true, true, JOB_ROTATE, "told" },
		{ false, true, JOB_RUN, "told" },
	};
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, OTHER, "by hand");
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
		struct error err = ERROR_INIT;
		char told[] = "told";
		struct scene scene;

		prepare(sysroot, &scene, NULL);
		scene.metadata.token = told;
		scene.metadata.token_size = strlen(told);
		scene.stage.options.unattended = rows[i].unattended;
		scene.stage.ctx.options = &scene.stage.options;
		scene.stage.ctx.job = rows[i].job;
		assert_int_equal(token_set_by_hand(&sysroot->root, rows[i].by_hand, &err),
				 0);
		assert_int_equal(which_token_open(&scene.stage.ctx, &scene.metadata,
						  &scene.lease, &token, &err),
				 0);
		assert_holds(token.fd, rows[i].text);
	}
}

static void a_token_file_that_cannot_be_had_is_named(void **state)
{
	static const struct {
		const char *path;
		mode_t mode; /* 0: it is not there */
		enum error_code code;
		const char *text, *hint;
	} cases[] = {
		{ "/etc/none.tok", 0, ERROR_TOKEN, "/etc/none.tok",
		  "license.token_file names it" },
		{ "/etc/loose.tok", 0666, ERROR_USAGE,
		  "license.token_file: /etc/loose.tok: others may write it",
		  "chmod go-w /etc/loose.tok" },
		{ "/etc/nvidia", 0755, ERROR_USAGE,
		  "license.token_file: /etc/nvidia: no regular file", "" },
	};
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, "/etc/loose.tok", "token");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
		struct error err = ERROR_INIT;
		struct scene scene;

		prepare(sysroot, &scene, NULL);
		strcpy(scene.stage.ctx.settings.license.token_file, cases[i].path);
		if (cases[i].mode)
			assert_int_equal(fchmodat(sysroot->root.fd, cases[i].path + 1,
						  cases[i].mode, 0),
					 0);

		assert_int_equal(which_token_open(&scene.stage.ctx, &scene.metadata,
						  &scene.lease, &token, &err),
				 -1);

		assert_int_equal(err.code, cases[i].code);
		assert_non_null(strstr(err.text, cases[i].text));
		assert_string_equal(err.hint, cases[i].hint);
	}
}

/* A byte more than a token may have is enough to tell that it is too large. */
static void of_an_endless_file_no_more_is_read_than_tells_its_size(void **state)
{
	cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
	cleanup_fd int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct scene scene;

	prepare(*state, &scene, NULL);
	scene.lease.token_fd = zeros;
	scene.lease.token_path = "/dev/zero";

	assert_int_equal(which_token_open(&scene.stage.ctx, &scene.metadata, &scene.lease,
					  &token, &err),
			 0);
	assert_int_equal(lseek(token.fd, 0, SEEK_END), TOKEN_SIZE_MAX + 1);
}

static void a_file_that_cannot_be_read_is_the_token_s_error(void **state)
{
	cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
	cleanup_fd int folder = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct error err = ERROR_INIT;
	struct scene scene;

	prepare(*state, &scene, NULL);
	scene.lease.token_fd = folder;
	scene.lease.token_path = "/";

	assert_int_equal(which_token_open(&scene.stage.ctx, &scene.metadata, &scene.lease,
					  &token, &err),
			 -1);
	assert_int_equal(err.code, ERROR_TOKEN);
}

/* The judgement on one that is "SOURCE" and lies `count` times in its folder. */
static int judge(struct scene *scene, size_t count, const struct json *judged,
		 int64_t *ret_expires, struct outcome *outcome, struct error *err)
{
	cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;

	token.fd = memory_of("token");
	token.source = "SOURCE";
	token.count = count;
	token.judged = judged;
	*outcome = (struct outcome){ .kind = OUTCOME_PENDING };
	return which_token_judge(&scene->stage.ctx, &token, ret_expires, outcome, err);
}

static void only_an_error_keeps_a_token_from_being_installed(void **state)
{
	static const struct {
		const char *worker;
		size_t count;
		int64_t expires;
		const char *error, *warning; /* error NULL: none */
	} cases[] = {
		{ GOOD, 1, GOOD_EXPIRES, NULL, "" },
		{ GOOD, 2, GOOD_EXPIRES, NULL, "the folder holds 2 tokens" },
		{ WITH("warning", "bom"), 1, 0, NULL, "it is so" },
		{ WITH("error", "no_jwt"), 1, 0, "SOURCE: it is so", "" },
		{ WITH("error", "no_jwt"), 2, 0, "SOURCE: it is so", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct outcome outcome;
		int64_t expires = -1;
		struct scene scene;

		prepare(*state, &scene, cases[i].worker);
		assert_int_equal(
			judge(&scene, cases[i].count, NULL, &expires, &outcome, &err),
			cases[i].error ? -1 : 0);

		assert_int_equal(err.code, cases[i].error ? ERROR_TOKEN : ERROR_NONE);
		assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		assert_int_equal(expires, cases[i].expires);
		assert_int_equal(strncmp(outcome.warning, cases[i].warning,
					 strlen(cases[i].warning)),
				 0);
		assert_int_equal(outcome.warning[0] != '\0', cases[i].warning[0] != '\0');
		assert_int_equal(looks, 0);
	}
}

/* The worker of the test is not there: whoever asks it fails. */
static void what_was_judged_with_the_metadata_is_not_judged_again(void **state)
{
	cleanup_json struct json *judged =
		json_build("{s:[], s:s}", "problems", "expires", "2030-01-02T03:04:05Z");
	struct error err = ERROR_INIT;
	struct outcome outcome;
	struct scene scene;
	int64_t expires;

	prepare(*state, &scene, NULL);
	assert_int_equal(judge(&scene, 1, NULL, &expires, &outcome, &err), -1);
	assert_int_equal(judge(&scene, 1, judged, &expires, &outcome, &err), 0);

	assert_int_equal(expires, GOOD_EXPIRES);
}

static struct json *too_early(const char *code)
{
	return json_build("{s:[{s:s, s:s, s:s}]}", "problems", "code", code, "severity",
			  "error", "message", "by the clock");
}

/* What was judged by a clock that was years off is judged by the one that is set. */
static void
what_only_time_speaks_against_is_judged_by_the_clock_once_it_is_set(void **state)
{
	static const char *const codes[] = { "expired", "not_yet_valid" };

	for (size_t i = 0; i < ARRAY_SIZE(codes); i++) {
		cleanup_json struct json *judged = too_early(codes[i]);
		struct error err = ERROR_INIT;
		struct outcome outcome;
		struct scene scene;
		int64_t expires;

		prepare(*state, &scene, GOOD);
		scene.stage.ctx.settings.license.wait = 60;
		set_at = 2;
		assert_int_equal(judge(&scene, 1, judged, &expires, &outcome, &err), 0);

		assert_int_equal(looks, 2);
		assert_int_equal(expires, GOOD_EXPIRES);
	}
}

static void the_clock_is_not_waited_for_where_it_cannot_come(void **state)
{
	static const struct {
		bool offline;
		int wait, looks;
	} cases[] = { { true, 60, 0 }, { false, 0, 2 } };

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *judged = too_early("not_yet_valid");
		struct error err = ERROR_INIT;
		struct outcome outcome;
		struct scene scene;
		int64_t expires;

		prepare(*state, &scene, WITH("error", "not_yet_valid"));
		scene.stage.ctx.offline = cases[i].offline;
		scene.stage.ctx.settings.license.wait = cases[i].wait;
		set_at = 0;
		assert_int_equal(judge(&scene, 1, judged, &expires, &outcome, &err), -1);

		assert_int_equal(looks, cases[i].looks);
		assert_string_equal(err.text, "SOURCE: it is so");
	}
}

static void the_wait_for_the_clock_can_be_interrupted(void **state)
{
	cleanup_json struct json *judged = too_early("not_yet_valid");
	cleanup_fd int readable = memory_of("x");
	struct error err = ERROR_INIT;
	struct outcome outcome;
	struct scene scene;
	int64_t expires;

	prepare(*state, &scene, GOOD);
	scene.stage.ctx.settings.license.wait = 600;
	scene.stage.ctx.runner->cancel_fd = readable;
	set_at = 0;
	assert_int_equal(judge(&scene, 1, judged, &expires, &outcome, &err), -1);

	assert_true(err.interrupted);
}

/* The object is there in either case: only what is suspect ends with the status. */
static void the_report_ends_well_where_nothing_is_suspect(void **state)
{
	static const struct {
		const char *worker;
		bool two;
		const char *error; /* NULL: none */
	} cases[] = {
		{ GOOD, false, NULL },
		{ WITH("warning", "whitespace"), false, NULL },
		{ WITH("warning", "unsigned"), false, "the installed token: it is so" },
		{ WITH("error", "no_jwt"), false, "the installed token: it is so" },
		{ GOOD, true,
		  "the installed token: the folder holds 2 tokens; nvidia-gridd wants "
		  "one" },
	};
	const struct sysroot *sysroot = *state;

	sysroot_write(sysroot, OTHER, "token");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;
		struct scene scene;

		prepare(sysroot, &scene, cases[i].worker);
		if (cases[i].two)
			sysroot_write(sysroot, PATHS_TOKEN, "token");
		assert_int_equal(
			which_token_report(&scene.stage.ctx, &scene.lease, &report, &err),
			cases[i].error ? -1 : 0);

		assert_non_null(json_get(report, "problems"));
		assert_int_equal(err.code, cases[i].error ? ERROR_TOKEN : ERROR_NONE);
		assert_string_equal(err.text, cases[i].error ? cases[i].error : "");
		assert_int_equal(err.hint[0] != '\0', cases[i].error != NULL);
	}
}

static void the_report_of_no_token_says_that_it_is_missing(void **state)
{
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;
	struct scene scene;

	sysroot_write(*state, PATHS_GRIDD_CONF, "ClientConfigTokenPath=/srv/t\n");
	prepare(*state, &scene, NULL);
	assert_int_equal(
		which_token_report(&scene.stage.ctx, &scene.lease, &report, &err), -1);

	assert_int_equal(err.code, ERROR_TOKEN);
	assert_string_equal(err.text, "/srv/t: there is no token");
	assert_false(json_get_bool(report, "valid", true));
	assert_string_equal(
		json_get_string(json_at(json_get(report, "problems"), 0), "code"),
		"missing");
}

static void none_is_told_with_every_place_that_was_looked_in(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	sysroot_write(sysroot, PATHS_GRIDD_CONF, "ClientConfigTokenPath=/srv/t\n");
	assert_int_equal(which_token_none(&sysroot->root, &err), -1);

	assert_int_equal(err.code, ERROR_TOKEN);
	assert_non_null(strstr(err.text, "metadata"));
	assert_non_null(strstr(err.text, "license.token_file"));
	assert_non_null(strstr(err.text, "none in /srv/t"));
	assert_non_null(strstr(err.hint, "vgpu-guest-agent token install"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_first_source_that_has_one_counts),
		TEST(a_token_that_was_installed_by_hand_stays),
		TEST(a_token_file_that_cannot_be_had_is_named),
		TEST(of_an_endless_file_no_more_is_read_than_tells_its_size),
		TEST(a_file_that_cannot_be_read_is_the_token_s_error),
		TEST(only_an_error_keeps_a_token_from_being_installed),
		TEST(what_was_judged_with_the_metadata_is_not_judged_again),
		TEST(what_only_time_speaks_against_is_judged_by_the_clock_once_it_is_set),
		TEST(the_clock_is_not_waited_for_where_it_cannot_come),
		TEST(the_wait_for_the_clock_can_be_interrupted),
		TEST(the_report_ends_well_where_nothing_is_suspect),
		TEST(the_report_of_no_token_says_that_it_is_missing),
		TEST(none_is_told_with_every_place_that_was_looked_in),
	};

	return cmocka_run_group_tests_name("which_token", tests, NULL, NULL);
}
