/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/text.h"
#include "fault/fault.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define RUN "NVIDIA-Linux-x86_64-550.127.05-grid.run"
#define DEB "nvidia-linux-grid-550_550.127.05_amd64.deb"
#define BUNDLE "NVIDIA-GRID-Linux-KVM-550.127.06-550.127.05-553.24.zip"
#define ARCHIVE "nvidia-modules-550.127.05-6.1.0-37-cloud-amd64-open.tar.gz"
#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define EPOCH "1763845200"
#define CREATED "2025-11-22T21:00:00Z"
#define NEWEST 1900000000 /* 2030-03-17T17:46:40Z */
#define OLD(files)                                                    \
	"{\"schema\":1,\"serial\":41,\"created\":\"" CREATED "\",\"f" \
	"iles\":[" files "],\"modules\":[]}"

#define SAID "\"size\":4096,\"sha256\":\"" SHA "\""
#define MEMBER                                                                    \
	"{\"name\":\"Guest_Drivers/" RUN "\",\"kind\":\"run\",\"version\":\"550." \
	"127.05\",\"arch\":\"x86_64\",\"offset\":0,\"method\":0,\"compressed_siz" \
	"e\":4,\"size\":4,\"sha256\":\"" SHA "\"}"
#define KEYS                                                                        \
	"\"version\":\"550.127.05\",\"kernel\":\"6.1.0-37-cloud-amd64\",\"vermagic" \
	"\":\"6.1.0 SMP\",\"compiler\":\"gcc 12.2.0\",\"flavour\":\"open\",\"arch"  \
	"\":\"x86_64\",\"symbols\":null,\"signed_by\":null"
#define ANSWER(text) "echo '{\"result\":{" text "}}' >&3"
#define PACKAGE(kind, members)                                                   \
	ANSWER("\"kind\":\"" kind "\",\"version\":\"550.127.05\",\"arch\":\"x86" \
	       "_64\",\"members\":[" members "]," SAID)
#define MODULES(keys) ANSWER(SAID ",\"manifest\":{" keys "},\"modules\":[]")

/* A worker that finds in each file what its name says. */
static const struct agent_stage_answer honest[] = {
	{ "index",
	  "case $request in *.run\\\"*) " PACKAGE("run", "") " ;; *.deb\\\"*) " PACKAGE(
		  "deb", "") " ;; *) " PACKAGE("bundle", MEMBER) " ;; esac" },
	{ "modules", MODULES("\"schema\":1,\"name\":\"built.tar.gz\"," KEYS) },
	{ NULL, NULL },
};

static struct request request;

/* A repository with a file of each kind, the same .run elsewhere, and an older index. */
static struct agent *begin(const struct sysroot *sysroot,
			   const struct agent_stage_answer *answers)
{
	static const char *const files[] = { "/repo/535/" RUN, "/repo/" DEB,
					     "/repo/" BUNDLE, "/repo/" ARCHIVE,
					     "/srv/" RUN };
	const struct timespec times[2] = { { .tv_sec = 1000 }, { .tv_sec = NEWEST } };
	struct agent *agent;

	sysroot_empty(sysroot);
	request = (struct request){ .json = true };
	agent = agent_stage(sysroot, &request.options);
	sysroot_mkdir(sysroot, "/repo/535");
	sysroot_mkdir(sysroot, "/srv");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		sysroot_write(sysroot, files[i], "a driver");
		assert_int_equal(utimensat(sysroot->root.fd, files[i] + 1, times, 0), 0);
	}
	sysroot_write(sysroot, "/repo/old.json", OLD(""));
	agent_stage_worker(agent, sysroot, answers);
	fault_arm(0);
	assert_int_equal(setenv("SOURCE_DATE_EPOCH", EPOCH, 1), 0);
	return agent;
}

static void name_operand(const char *path)
{
	request.operands[request.operand_count++] = path;
}

static struct json *make_index(struct agent *agent)
{
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	if (command_index(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(report);
	return report;
}

static void assert_refused(struct agent *agent, enum error_code code, const char *words)
{
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	assert_int_equal(command_index(agent, &request, &report, &err), -1);
	assert_null(report);
	if (err.code != code || !strstr(err.text, words))
		fail_msg("\"%s\": %d, %s", words, (int)err.code, err.text);
}

static bool was_read(const struct sysroot *sysroot)
{
	struct stat st;

	return root_stat(&sysroot->root, "/requests", &st);
}

static void it_says_of_each_file_what_the_worker_found(void **state)
{
	static const char expected[] =
		"{\"schema\":1,\"serial\":1,\"created\":\"" CREATED "\",\"files\":["
		"{\"name\":\"535/" RUN "\",\"kind\":\"run\",\"version\":\"550.127.05\","
		"\"arch\":\"x86_64\"," SAID "},"
		"{\"name\":\"" BUNDLE "\"," SAID
		",\"host_version\":\"550.127.06\",\"members\":[" MEMBER "]},"
		"{\"name\":\"" DEB "\",\"kind\":\"deb\",\"version\":\"550.127.05\","
		"\"arch\":\"x86_64\"," SAID "}],"
		"\"modules\":[{\"name\":\"" ARCHIVE "\"," KEYS "," SAID "}]}\n";

	for (unsigned backwards = 0; backwards < 2; backwards++) {
		static const char *const files[] = { "/repo/" ARCHIVE, "/repo/" BUNDLE,
						     "/repo/535/" RUN, "/repo/" DEB };
		struct agent *agent = begin(*state, honest);
		cleanup_json struct json *report = NULL;
		cleanup_free char *text = NULL, *line = NULL;

		request.output = "/repo/vgpu-index.json";
		for (size_t i = 0; i < 4; i++)
			name_operand(files[backwards ? 3 - i : i]);
		report = make_index(agent);

		text = json_print(report);
		line = text ? text_print("%s\n", text) : NULL;
		assert_string_equal(line, expected);
		sysroot_assert_text(*state, "/repo/vgpu-index.json", expected);
		agent_stage_end(agent);
	}
}

static void a_files_name_is_its_path_in_the_repository(void **state)
{
	static const struct {
		const char *output, *operand, *name;
	} rows[] = {
		{ "/repo/vgpu-index.json", "/repo/535/" RUN, "535/" RUN },
		{ "/repo/535/vgpu-index.json", "/srv/" RUN, RUN },
		{ "/repo/other.json", "/repo/535/" RUN, RUN },
		{ NULL, "/repo/535/" RUN, RUN },
		{ NULL, "repo/535/" RUN, "repo/535/" RUN },
		{ NULL, "././srv/" RUN, "srv/" RUN },
		{ NULL, "repo/../srv/" RUN, RUN },
	};
	cleanup_free char *before = getcwd(NULL, 0);

	assert_non_null(before);
	assert_int_equal(chdir("/"),
			 0); /* of which a relative path is one of the root's */
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, honest);
		cleanup_json struct json *report = NULL;

		request.output = rows[i].output;
		name_operand(rows[i].operand);
		report = make_index(agent);
		assert_string_equal(
			json_get_string(json_at(json_get(report, "files"), 0), "name"),
			rows[i].name);
		agent_stage_end(agent);
	}
	assert_int_equal(chdir(before), 0);
}

static void the_repositorys_own_documents_are_skipped(void **state)
{
	struct agent *agent = begin(*state, honest);
	cleanup_json struct json *report = NULL;

	name_operand("/repo/vgpu-index.json");
	name_operand("/repo/535/" RUN);
	name_operand("/repo/vgpu-index.json.sig");
	name_operand("/repo/PULP_MANIFEST");
	report = make_index(agent);

	assert_int_equal(json_count(json_get(report, "files")), 1);
	agent_stage_end(agent);
}

static void what_is_asked_wrongly_is_told_before_anything_is_read(void **state)
{
	static char long_path[PACKAGE_NAME_MAX + 16];
	static const struct {
		const char *output, *previous, *operands[2], *epoch;
		enum error_code code;
		const char *words;
	} rows[] = {
		{ .code = ERROR_USAGE, .words = "which files?" },
		{ .operands = { "/repo/vgpu-index.json" },
		  .code = ERROR_USAGE,
		  .words = "which files?" },
		{ .operands = { "/repo/535/" RUN, "/srv/" RUN },
		  .code = ERROR_USAGE,
		  .words = "given twice" },
		{ .operands = { long_path },
		  .code = ERROR_USAGE,
		  .words = "the name is too long" },
		{ .operands = { "/srv/" RUN },
		  .epoch = "soon",
		  .code = ERROR_USAGE,
		  .words = "SOURCE_DATE_EPOCH=soon" },
		{ .operands = { "/srv/" RUN },
		  .epoch = "4294967296",
		  .code = ERROR_USAGE,
		  .words = "seconds since 1970" },
		{ .operands = { "/srv/none.run" },
		  .output = "/repo/535/" RUN,
		  .code = ERROR_USAGE,
		  .words = "/srv/none.run" },
		{ .operands = { "/srv/" RUN },
		  .output = "/srv/" RUN,
		  .code = ERROR_USAGE,
		  .words = "would overwrite /srv/" RUN },
		{ .operands = { "/srv/" RUN },
		  .output = "/srv/hard",
		  .code = ERROR_USAGE,
		  .words = "would overwrite /srv/" RUN },
		{ .operands = { "/srv/" RUN },
		  .output = "/srv/soft",
		  .code = ERROR_USAGE,
		  .words = "would overwrite /srv/" RUN },
		{ .operands = { "/srv/" RUN },
		  .previous = "/repo/old.json",
		  .output = "/repo/old.json",
		  .code = ERROR_USAGE,
		  .words = "would overwrite /repo/old.json" },
		{ .operands = { "/srv/" RUN },
		  .output = "/repo",
		  .code = ERROR_PERMISSION,
		  .words = "--output /repo: is no regular file" },
		{ .operands = { "/srv/" RUN },
		  .output = "/none/index.json",
		  .code = ERROR_PERMISSION,
		  .words = "--output /none/index.json: opening /none" },
	};

	(void)memset(long_path, 'x', sizeof(long_path) - 1);
	(void)memcpy(long_path, "/srv/", 5);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, honest);
		int root = agent->context.root.fd;

		assert_int_equal(linkat(root, "srv/" RUN, root, "srv/hard", 0), 0);
		assert_int_equal(symlinkat(RUN, root, "srv/soft"), 0);
		request.output = rows[i].output;
		request.previous = rows[i].previous;
		for (size_t j = 0; j < 2 && rows[i].operands[j]; j++)
			name_operand(rows[i].operands[j]);
		if (rows[i].epoch)
			assert_int_equal(setenv("SOURCE_DATE_EPOCH", rows[i].epoch, 1),
					 0);

		assert_refused(agent, rows[i].code, rows[i].words);
		assert_false(was_read(*state));
		sysroot_assert_text(*state, "/srv/" RUN, "a driver");
		sysroot_assert_text(*state, "/repo/old.json", OLD(""));
		agent_stage_end(agent);
	}
}

/* A folder and a pipe are opened as the files that they are not, and never read. */
static void only_a_regular_file_goes_into_it(void **state)
{
	static const struct {
		const char *operand, *words;
	} rows[] = {
		{ "/repo/535", "/repo/535 is no regular file" },
		{ "/srv/pipe", "/srv/pipe is no regular file" },
		{ "/srv/none.run", "/srv/none.run" },
		{ "/srv/notes.txt", "notes.txt: no guest takes it" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, honest);

		assert_int_equal(mkfifoat(agent->context.root.fd, "srv/pipe", 0644), 0);
		sysroot_write(*state, "/srv/notes.txt", "a driver");
		name_operand(rows[i].operand);
		assert_refused(agent, ERROR_USAGE, rows[i].words);
		agent_stage_end(agent);
	}
}

static void the_index_before_is_carried_on(void **state)
{
	struct agent *agent = begin(*state, honest);
	cleanup_json struct json *report = NULL;
	const struct json *files;

	sysroot_write(
		*state, "/repo/old.json",
		OLD("{\"name\":\"520.run\",\"kind\":\"run\",\"version\":\"520.1\",\"arch\""
		    ":\"x86_64\"," SAID "},{\"name\":\"535.run\",\"kind\":\"run\","
		    "\"version\":\"535.1\",\"arch\":\"x86_64\",\"later\":1," SAID "}"));
	request.previous = "/repo/old.json";
	request.drops[request.drop_count++] = "520.run";
	name_operand("/srv/" RUN);
	report = make_index(agent);

	files = json_get(report, "files");
	assert_int_equal(json_get_int(report, "serial", 0), 42);
	assert_int_equal(json_count(files), 2);
	assert_string_equal(json_get_string(json_at(files, 0), "name"), "535.run");
	assert_int_equal(json_get_int(json_at(files, 0), "later", 0), 1);
	assert_string_equal(json_get_string(json_at(files, 1), "name"), RUN);
	agent_stage_end(agent);
}

static void an_index_before_that_cannot_be_believed_ends_it(void **state)
{
	static const struct {
		const char *previous, *text;
		enum error_code code;
		const char *words;
	} rows[] = {
		{ "/repo/none.json", "", ERROR_USAGE, "--previous /repo/none.json: " },
		{ "/repo/535", "", ERROR_USAGE, "no regular file" },
		{ "/repo/old.json", "{", ERROR_INTEGRITY, "--previous /repo/old.json: " },
		{ "/repo/old.json", "{\"schema\":2,\"serial\":1}", ERROR_INTEGRITY,
		  "another schema" },
		{ "/repo/old.json", OLD("{\"name\":\"a.run\"}"), ERROR_INTEGRITY,
		  "files[0] has no size" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, honest);

		sysroot_write(*state, "/repo/old.json", rows[i].text);
		request.previous = rows[i].previous;
		name_operand("/srv/" RUN);
		assert_refused(agent, rows[i].code, rows[i].words);
		assert_false(was_read(*state));
		agent_stage_end(agent);
	}
}

static void the_times_are_of_the_environment_the_files_and_the_clock(void **state)
{
	static const struct {
		const char *epoch;
		bool expires;
		unsigned days;
		const char *created, *until; /* "": a day from now */
	} rows[] = {
		{ EPOCH, false, 0, CREATED, NULL },
		{ NULL, false, 0, "2030-03-17T17:46:40Z", NULL },
		{ EPOCH, true, 30, CREATED, "2025-12-22T21:00:00Z" },
		{ EPOCH, true, 0, CREATED, NULL },
		{ NULL, true, 1, "2030-03-17T17:46:40Z", "" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, honest);
		cleanup_json struct json *report = NULL;
		int64_t before = clock_now() + 86400, until = 0;
		const char *expires;

		if (!rows[i].epoch)
			assert_int_equal(unsetenv("SOURCE_DATE_EPOCH"), 0);
		request.expires = rows[i].expires;
		request.expires_days = rows[i].days;
		name_operand("/srv/" RUN);
		report = make_index(agent);

		expires = json_get_string(report, "expires");
		assert_string_equal(json_get_string(report, "created"), rows[i].created);
		if (!rows[i].until)
			assert_null(expires);
		else if (rows[i].until[0])
			assert_string_equal(expires, rows[i].until);
		else
			assert_true(clock_read(expires, &until) && until >= before &&
				    until <= clock_now() + 86400);
		agent_stage_end(agent);
	}
}

/* What a guest would not take is told to who makes the index, not to the fleet. */
static void an_index_that_no_guest_would_take_is_not_written(void **state)
{
	static const struct {
		const char *operand, *job, *shell, *words;
	} rows[] = {
		{ "/srv/" RUN, "index", PACKAGE("deb", ""), "not what its name says" },
		{ "/srv/" RUN, "index", "exit 1", RUN },
		{ "/repo/" BUNDLE, "index", PACKAGE("bundle", ""),
		  "holds no guest driver" },
		{ "/repo/" BUNDLE, "index", PACKAGE("bundle", "{\"name\":\"../x.run\"}"),
		  "the index cannot be used" },
		{ "/repo/" ARCHIVE, "modules", MODULES("\"schema\":1"), "is incomplete" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const struct agent_stage_answer answers[] = {
			{ rows[i].job, rows[i].shell }, { NULL, NULL }
		};
		struct agent *agent = begin(*state, answers);
		struct json *report = NULL;
		struct error err = ERROR_INIT;

		sysroot_write(*state, "/repo/vgpu-index.json", "before");
		request.output = "/repo/vgpu-index.json";
		name_operand(rows[i].operand);
		assert_int_equal(command_index(agent, &request, &report, &err), -1);
		assert_null(report);
		if (!strstr(err.text, rows[i].words))
			fail_msg("%zu: %s", i, err.text);
		sysroot_assert_text(*state, "/repo/vgpu-index.json", "before");
		agent_stage_end(agent);
	}
}

/* A disk that fails anywhere on the way leaves the file that was there, and no other. */
static void the_output_is_whole_or_what_it_was(void **state)
{
	int broken = 0;

	for (;;) {
		struct agent *agent = begin(*state, honest);
		struct json *report = NULL;
		struct error err = ERROR_INIT;
		int result;

		sysroot_mkdir(*state, "/out");
		sysroot_write(*state, "/out/index.json", "before");
		request.output = "/out/index.json";
		name_operand("/srv/" RUN);
		fault_arm(broken + 1);
		result = command_index(agent, &request, &report, &err);
		agent_stage_end(agent);
		if (!fault_fired()) {
			fault_arm(0);
			assert_int_equal(result, 0);
			json_free(report);
			break;
		}
		fault_arm(0);
		broken++;
		assert_null(report);
		assert_int_equal(result, -1);
		sysroot_assert_entries(*state, "/out", 1);
	}
	assert_true(broken > 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(it_says_of_each_file_what_the_worker_found),
		TEST(a_files_name_is_its_path_in_the_repository),
		TEST(the_repositorys_own_documents_are_skipped),
		TEST(what_is_asked_wrongly_is_told_before_anything_is_read),
		TEST(only_a_regular_file_goes_into_it),
		TEST(the_index_before_is_carried_on),
		TEST(an_index_before_that_cannot_be_believed_ends_it),
		TEST(the_times_are_of_the_environment_the_files_and_the_clock),
		TEST(an_index_that_no_guest_would_take_is_not_written),
		TEST(the_output_is_whole_or_what_it_was),
	};

	return cmocka_run_group_tests_name("command_index", tests, NULL, NULL);
}
