/* SPDX-License-Identifier: Apache-2.0 */
#include "model/paths.h"
#include "steps/fetch/unpack.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "support/cmocka.h"
#include "support/script.h"
#include "support/sysroot.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RUN_525 "Guest_Drivers/NVIDIA-Linux-x86_64-525.105.17-grid.run"
#define DEB_525 "Guest_Drivers/nvidia-linux-grid-525_525.105.17_amd64.deb"
#define MEMBER(name, kind, arch)                  \
	"{\"name\":\"" name "\",\"kind\":\"" kind \
	"\",\"version\":\"525.105.17\",\"arch\":" arch ",\"size\":1000}"
#define BUNDLE(members)                                                    \
	"{\"result\":{\"kind\":\"bundle\",\"version\":null,\"arch\":null," \
	"\"members\":[" members "]}}"

/* A worker of one line: a shell script that reads the request and prints an answer. */
struct fixture {
	struct sysroot *sysroot;
	char worker[128];
	int fd;
	struct channel channel;
	struct script script;
	struct unpack_input input;
};

static void add_program(const struct sysroot *sysroot, const char *path, const char *text)
{
	char full[256];

	sysroot_write(sysroot, path, text);
	(void)snprintf(full, sizeof(full), "%s%s", sysroot->dir, path);
	assert_int_equal(chmod(full, 0755), 0);
}

static void fixture_answer(struct fixture *fixture, const char *line, const char *more)
{
	char text[4096];

	(void)snprintf(text, sizeof(text),
		       "#!/bin/sh\nread -r line <&3\n"
		       "printf '%%s\\n' \"$line\" >'%s/request'\n%s\n"
		       "printf '%%s\\n' '%s' >&3\n",
		       fixture->sysroot->dir, more, line);
	add_program(fixture->sysroot, "/worker", text);
}

static int setup(void **state)
{
	static const struct script_answer none[] = { { 0 } };
	struct fixture *fixture = calloc(1, sizeof(*fixture));
	void *sysroot = NULL;
	char path[128];

	assert_non_null(fixture);
	(void)sysroot_setup(&sysroot);
	fixture->sysroot = sysroot;
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_write(sysroot, "/file", "the fetched file");
	(void)snprintf(path, sizeof(path), "%s/file", fixture->sysroot->dir);
	fixture->fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(fixture->fd >= 0);
	(void)snprintf(fixture->worker, sizeof(fixture->worker), "%s/worker",
		       fixture->sysroot->dir);
	fixture->channel = (struct channel){
		.worker = fixture->worker,
		.silence_s = 20,
		.cancel_fd = -1,
	};
	script_init(&fixture->script, none, NULL);
	fixture->input = (struct unpack_input){
		.fd = fixture->fd,
		.name = "driver.zip",
		.arch = "x86_64",
		.wanted = { PACKAGE_RUN, PACKAGE_DEB },
		.root = &fixture->sysroot->root,
		.channel = &fixture->channel,
		.runner = &fixture->script.runner,
	};
	*state = fixture;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *fixture = *state;
	void *sysroot = fixture->sysroot;

	(void)close(fixture->fd);
	(void)sysroot_teardown(&sysroot);
	free(fixture);
	return 0;
}

static void a_run_tells_version_and_arch(void **state)
{
	struct fixture *fixture = *state;
	struct unpack_content content;
	struct error err = ERROR_INIT;

	fixture_answer(fixture,
		       "{\"result\":{\"kind\":\"run\",\"version\":\"525.105.17\","
		       "\"arch\":\"x86_64\",\"members\":[]}}",
		       "");

	assert_int_equal(unpack_inspect(&fixture->input, &content, &err), 0);

	assert_int_equal(content.kind, PACKAGE_RUN);
	assert_string_equal(content.version, "525.105.17");
	assert_string_equal(content.arch, "x86_64");
	sysroot_assert_text(
		fixture->sysroot, "/request",
		"{\"job\":\"inspect\",\"input\":4,\"name\":\"driver.zip\"}\n");
}

static void a_run_for_another_machine_is_no_match(void **state)
{
	struct fixture *fixture = *state;
	struct unpack_content content;
	struct error err = ERROR_INIT;

	fixture_answer(fixture,
		       "{\"result\":{\"kind\":\"run\",\"version\":\"525.105.17\","
		       "\"arch\":\"aarch64\",\"members\":[]}}",
		       "");

	assert_int_equal(unpack_inspect(&fixture->input, &content, &err), -1);

	assert_int_equal(err.code, ERROR_NO_MATCH);
	assert_string_equal(err.text, "driver.zip is for aarch64, this guest is x86_64");
}

static void the_members_choice_follows_the_wish(void **state)
{
	static const struct {
		const char *answer, *member, *words;
	} cases[] = {
		{ BUNDLE(MEMBER(DEB_525, "deb", "\"amd64\"") "," MEMBER(RUN_525, "run",
									"\"x86_64\"")),
		  RUN_525, NULL },
		{ BUNDLE(MEMBER(DEB_525, "deb", "\"amd64\"")), DEB_525, NULL },
		{ BUNDLE(MEMBER("a/x.run", "run",
				"\"aarch64\"") "," MEMBER(RUN_525, "run", "null")),
		  RUN_525, NULL },
		{ BUNDLE(MEMBER("a/x.run", "run",
				"\"x86_64\"") "," MEMBER("b/x.run", "run", "\"x86_64\"")),
		  NULL, "more than one driver that fits: a/x.run, b/x.run" },
		{ BUNDLE(MEMBER("a/x.rpm", "rpm", "\"x86_64\"")), NULL,
		  "no driver that fits: a/x.rpm" },
		{ BUNDLE(""), NULL, "no guest driver at all" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct unpack_content content;
		struct error err = ERROR_INIT;

		fixture_answer(fixture, cases[i].answer, "");
		assert_int_equal(unpack_inspect(&fixture->input, &content, &err),
				 cases[i].member ? 0 : -1);
		if (cases[i].member) {
			assert_int_equal(content.kind, PACKAGE_BUNDLE);
			assert_string_equal(content.member.name, cases[i].member);
			assert_string_equal(content.version, "525.105.17");
			assert_int_equal(content.member.size, 1000);
		} else {
			assert_int_equal(err.code, ERROR_INTEGRITY);
			assert_non_null(strstr(err.text, cases[i].words));
		}
	}
}

static void a_package_is_asked_with_its_own_tool(void **state)
{
	static const struct {
		const char *kind, *program, *match, *output, *version, *arch;
	} cases[] = {
		{ "deb", "/usr/bin/dpkg-deb",
		  "/usr/bin/dpkg-deb -W --showformat=${Version}\\n${Architecture}\\n "
		  "/proc/self/fd/3\n",
		  "1:525.105.17-1\namd64\n", "525.105.17", "x86_64" },
		{ "rpm", "/usr/bin/rpm",
		  "/usr/bin/rpm -qp --nosignature --queryformat=%{VERSION}\\n%{ARCH}\\n "
		  "/proc/self/fd/3\n",
		  "525.105.17\nx86_64\n", "525.105.17", "x86_64" },
		{ "rpm", "/usr/bin/rpm", "-qp", "latest\nx86_64\n", "", "x86_64" },
	};
	struct fixture *fixture = *state;

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = {
			{ .match = cases[i].match, .output = cases[i].output }, { 0 }
		};
		struct unpack_content content;
		struct error err = ERROR_INIT;
		char line[128];

		(void)snprintf(
			line, sizeof(line),
			"{\"result\":{\"kind\":\"%s\",\"version\":null,\"arch\":null,\"members\":[]}}",
			cases[i].kind);
		script_init(&fixture->script, answers, NULL);
		fixture_answer(fixture, line, "");
		if (i < 2) {
			assert_int_equal(unpack_inspect(&fixture->input, &content, &err),
					 -1);
			assert_int_equal(err.code, ERROR_PREREQUISITES);
		}
		add_program(fixture->sysroot, cases[i].program, "");
		assert_int_equal(unpack_inspect(&fixture->input, &content, &err), 0);
		assert_string_equal(content.version, cases[i].version);
		assert_string_equal(content.arch, cases[i].arch);
	}
}

/* A file that nobody could look at is not a damaged one. */
static void a_tool_that_does_not_start_judges_no_package(void **state)
{
	static const struct {
		struct script_answer end;
		enum error_code code;
	} cases[] = {
		{ { .match = "-W", .status = 2 }, ERROR_INTEGRITY },
		{ { .match = "-W", .status = 127, .output = "libmd.so.0\n" },
		  ERROR_INTERNAL },
		{ { .match = "-W", .signal = 9 }, ERROR_INTERNAL },
		{ { .match = "-W", .signal = 15, .timed_out = true }, ERROR_INTERNAL },
	};
	struct fixture *fixture = *state;

	add_program(fixture->sysroot, "/usr/bin/dpkg-deb", "");
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct script_answer answers[] = { cases[i].end, { 0 } };
		struct unpack_content content;
		struct error err = ERROR_INIT;

		script_init(&fixture->script, answers, NULL);
		fixture_answer(fixture,
			       "{\"result\":{\"kind\":\"deb\",\"version\":null,"
			       "\"arch\":null,\"members\":[]}}",
			       "");
		assert_int_equal(unpack_inspect(&fixture->input, &content, &err), -1);
		assert_int_equal(err.code, cases[i].code);
	}
}

static void a_member_gets_the_name_of_its_bytes(void **state)
{
	struct fixture *fixture = *state;
	struct unpack_content content = {
		.member = { .name = RUN_525, .kind = PACKAGE_RUN, .size = 8 },
	};
	struct error err = ERROR_INIT;
	char path[256];

	fixture_answer(fixture,
		       "{\"result\":{\"member\":\"x\",\"size\":8,\"sha256\":\"" SHA
		       "\"}}",
		       "printf unpacked >&5");

	assert_int_equal(
		unpack_member(&fixture->input, &content, path, sizeof(path), &err), 0);

	assert_string_equal(path, PATHS_CACHE "/" SHA ".run");
	sysroot_assert_text(fixture->sysroot, path, "unpacked");
	sysroot_assert_entries(fixture->sysroot, PATHS_CACHE, 1);
	sysroot_assert_text(
		fixture->sysroot, "/request",
		"{\"job\":\"unpack\",\"input\":4,\"output\":5,\"member\":\"" RUN_525
		"\",\"max_size\":8}\n");
}

static void a_member_that_fails_leaves_nothing(void **state)
{
	static const char *const answers[] = {
		"{\"error\":{\"name\":\"integrity\",\"message\":\"it is encrypted\"}}",
		"{\"result\":{\"member\":\"x\",\"size\":8,\"sha256\":\"../../etc/passwd\"}}",
	};
	struct fixture *fixture = *state;
	struct unpack_content content = { .member = { .name = RUN_525,
						      .kind = PACKAGE_RUN } };

	for (size_t i = 0; i < ARRAY_SIZE(answers); i++) {
		struct error err = ERROR_INIT;
		char path[256] = "untouched";

		fixture_answer(fixture, answers[i], "printf half >&5");
		assert_int_equal(unpack_member(&fixture->input, &content, path,
					       sizeof(path), &err),
				 -1);
		assert_int_equal(err.code, i ? ERROR_INTERNAL : ERROR_INTEGRITY);
		assert_string_equal(path, "untouched");
		sysroot_assert_entries(fixture->sysroot, PATHS_CACHE, 0);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_run_tells_version_and_arch),
		TEST(a_run_for_another_machine_is_no_match),
		TEST(the_members_choice_follows_the_wish),
		TEST(a_package_is_asked_with_its_own_tool),
		TEST(a_tool_that_does_not_start_judges_no_package),
		TEST(a_member_gets_the_name_of_its_bytes),
		TEST(a_member_that_fails_leaves_nothing),
	};

	return cmocka_run_group_tests_name("unpack", tests, NULL, NULL);
}
