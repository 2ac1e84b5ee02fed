/* wrap: command_run_install readlink */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/noted.h"

#include <string.h>
#include <sys/stat.h>

#include "base/text.h"
#include "commands/commands.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define A "6.1.0-40-amd64"
#define B "6.1.0-41-amd64"
#define OF(release) release "/550.90.07/never "

static const struct sysroot *image;

/* What was asked for, as "REL/VERSION/PREREQUISITES ", and what comes meanwhile. */
static char built[256];
static const char *comes_meanwhile;
static struct error failure;

ssize_t __wrap_readlink(const char *path, char *buffer, size_t size);
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size)
{
	(void)path;
	return snprintf(buffer, size, "%s/usr/bin/vgpu-guest-agent", image->dir);
}

static void note(const char *release)
{
	struct error err = ERROR_INIT;
	char path[256];

	assert_int_equal(root_mkdir(&image->root, PATHS_NOTED, 0755, &err), 0);
	assert_true(text_format(path, sizeof(path), PATHS_NOTED "/%s", release));
	sysroot_write(image, path, "");
}

int __wrap_command_run_install(struct agent *agent, const struct request *request,
			       struct json **ret_report, struct error *err);
int __wrap_command_run_install(struct agent *agent, const struct request *request,
			       struct json **ret_report, struct error *err)
{
	const struct settings_driver *driver = &agent->context.settings.driver;
	size_t used = strlen(built);

	*ret_report = json_build("{}");
	assert_int_equal(request->options.kernel_count, 1);
	assert_null(request->options.driver);
	assert_true(text_format(built + used, sizeof(built) - used, "%s/%s/%s ",
				request->options.kernels[0], driver->version,
				driver->prerequisites));
	if (comes_meanwhile)
		note(comes_meanwhile);
	comes_meanwhile = NULL;
	*err = failure;
	return failure.code ? -1 : 0;
}

static void begin(const struct sysroot *sysroot)
{
	image = sysroot;
	sysroot_empty(sysroot);
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_mkdir(sysroot, "/run");
	sysroot_program(sysroot, "/usr/bin/fetch-worker");
	sysroot_program(sysroot, "/usr/bin/net-worker");
	built[0] = '\0';
	comes_meanwhile = NULL;
	failure = ERROR_INIT;
}

/* By a command that was asked for a driver file, which is of no kernel that is noted. */
static size_t build(void)
{
	static const struct request request = { .options = { .driver = "/x.run" } };
	struct agent agent = { .context.root = image->root };
	static struct request own;

	own = request;
	own.options.root = image->dir;
	return command_noted_build(&agent, &own, -1);
}

/* Notes of the kernel hook, and what is built for. */
static const struct {
	const char *note, *meanwhile, *driver, *built;
	enum error_code fails;
} cases[] = {
	{ A, NULL, "550.90.07", OF(A), ERROR_NONE },
	{ "." A, NULL, "550.90.07", OF(A), ERROR_NONE }, /* one of us was killed */
	{ A, B, "550.90.07", OF(A) OF(B), ERROR_NONE },
	{ A, A, "550.90.07", OF(A) OF(A), ERROR_NONE }, /* with its headers now */
	{ A, B, "550.90.07", OF(A) OF(B), ERROR_BUILD },
	{ A, NULL, NULL, "", ERROR_NONE }, /* there is no driver of ours */
};

static void what_is_noted_is_built_for_and_no_longer_noted(void **state)
{
	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		begin(*state);
		note(cases[i].note);
		if (cases[i].driver)
			sysroot_mkdir(image, PATHS_SOURCES "/550.90.07");
		comes_meanwhile = cases[i].meanwhile;
		if (cases[i].fails)
			(void)error_set(&failure, cases[i].fails, "no");

		assert_int_equal(build(), cases[i].meanwhile ? 2 : 1);
		assert_string_equal(built, cases[i].built);
		assert_false(command_noted_waits(&image->root));
	}
}

static void who_is_interrupted_leaves_the_note(void **state)
{
	begin(*state);
	note(A);
	sysroot_mkdir(image, PATHS_SOURCES "/550.90.07");
	(void)error_set_interrupted(&failure);

	assert_int_equal(build(), 0);
	assert_string_equal(built, OF(A));
	assert_true(command_noted_waits(&image->root));
}

static void what_is_no_kernels_name_is_left_alone(void **state)
{
	begin(*state);
	assert_false(command_noted_waits(&image->root));
	note("a b");
	note("-x");
	sysroot_mkdir(image, PATHS_SOURCES "/550.90.07");

	assert_int_equal(build(), 0);
	assert_string_equal(built, "");
}

static void the_command_that_is_asked_for_it_does_it_itself(void **state)
{
	const struct options options = { .kernels = { A, "../x" }, .kernel_count = 2 };

	begin(*state);
	note(A);
	note(B);
	command_noted_forget(&image->root, &options);

	sysroot_assert_entries(image, PATHS_NOTED, 1);
	command_noted_forget(&image->root, &(const struct options){ .kernels = { B },
								    .kernel_count = 1 });
	assert_false(command_noted_waits(&image->root));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_noted_is_built_for_and_no_longer_noted),
		TEST(who_is_interrupted_leaves_the_note),
		TEST(what_is_no_kernels_name_is_left_alone),
		TEST(the_command_that_is_asked_for_it_does_it_itself),
	};

	return cmocka_run_group_tests_name("command_noted", tests, NULL, NULL);
}
