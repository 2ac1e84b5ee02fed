/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/output.h"

#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/agent_stage.h"
#include "support/cmocka.h"

static const struct options options;

static void what_cannot_be_written_is_said_before(void **state)
{
	static const struct {
		const char *file;
		enum error_code code;
		const char *words;
	} cases[] = {
		{ "/out/new", ERROR_NONE, "" },
		{ "/out/there", ERROR_NONE, "" },
		{ "/out/link", ERROR_NONE, "" },
		{ "/out/folder", ERROR_PERMISSION,
		  "--output /out/folder: is no regular" },
		{ "/out/pipe", ERROR_PERMISSION,
		  "--output /out/pipe: is no regular file" },
		{ "/none/new", ERROR_PERMISSION, "--output /none/new: opening /none" },
		{ "/out/there/new", ERROR_PERMISSION, "--output /out/there/new: " },
		{ "/out/", ERROR_USAGE, "--output /out/ names no file" },
		{ "", ERROR_USAGE, "--output  names no file" },
	};
	const struct sysroot *sysroot = *state;
	struct agent *agent = agent_stage(sysroot, &options);
	char path[PATH_MAX];

	sysroot_mkdir(sysroot, "/out/folder");
	sysroot_write(sysroot, "/out/there", "before");
	(void)snprintf(path, sizeof(path), "%s/out/link", sysroot->dir);
	assert_int_equal(symlink("there", path), 0);
	(void)snprintf(path, sizeof(path), "%s/out/pipe", sysroot->dir);
	assert_int_equal(mkfifo(path, 0600), 0);

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct error err = ERROR_INIT;
		struct stat st;
		int result = command_output_judge(&agent->context, "--output",
						  cases[i].file, path, sizeof(path), &st,
						  &err);

		assert_int_equal(err.code, cases[i].code);
		assert_int_equal(result, cases[i].code ? -1 : 0);
		assert_non_null(strstr(err.text, cases[i].words));
		assert_int_equal(err.hint[0] != '\0', cases[i].code != ERROR_NONE);
		if (result < 0)
			continue;
		assert_string_equal(path, cases[i].file);
		assert_int_equal(S_ISREG(st.st_mode), strcmp(path, "/out/new") != 0);
	}
	sysroot_assert_text(sysroot, "/out/there", "before");
	agent_stage_end(agent);
}

static void a_folder_that_cannot_be_written_is_said_before(void **state)
{
	const struct sysroot *sysroot = *state;
	struct agent *agent = agent_stage(sysroot, &options);
	char path[PATH_MAX];
	struct error err = ERROR_INIT;
	struct stat st;

	if (geteuid() == 0)
		skip();
	sysroot_mkdir(sysroot, "/out");
	(void)snprintf(path, sizeof(path), "%s/out", sysroot->dir);
	assert_int_equal(chmod(path, 0555), 0);
	assert_int_equal(command_output_judge(&agent->context, "--bundle", "/out/new",
					      path, sizeof(path), &st, &err),
			 -1);
	assert_int_equal(err.code, ERROR_PERMISSION);
	assert_non_null(strstr(err.text, "--bundle /out/new: "));
	agent_stage_end(agent);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)
	const struct CMUnitTest tests[] = {
		TEST(what_cannot_be_written_is_said_before),
		TEST(a_folder_that_cannot_be_written_is_said_before),
	};

	return cmocka_run_group_tests_name("command_output", tests, NULL, NULL);
}
