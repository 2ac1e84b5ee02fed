/* wrap: readlink */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/lock.h"
#include "base/text.h"
#include "commands/execute.h"
#include "support/cmocka.h"
#include "support/sysroot.h"

#define NOBODY 65534
#define PROGRAM "/usr/bin/vgpu-guest-agent"

/* Where the program lies, instead of this test's own place. */
static char self[4096];

ssize_t __wrap_readlink(const char *path, char *buffer, size_t size);
ssize_t __wrap_readlink(const char *path, char *buffer, size_t size)
{
	size_t length = strlen(self);

	assert_string_equal(path, "/proc/self/exe");
	assert_true(length < size);
	if (length == 0) {
		errno = EACCES;
		return -1;
	}
	memcpy(buffer, self, length);
	return (ssize_t)length;
}

static struct request request;

/* What the command has seen. */
static struct {
	int calls, dumpable;
	bool offline, sysfs, lock_free;
	char worker[CONTEXT_PATH_MAX], net[CONTEXT_PATH_MAX], version[32];
	int64_t wait;
	int result;
} seen;

static int look_around(struct agent *agent, const struct request *of,
		       struct json **ret_report, struct error *err)
{
	const struct context *ctx = &agent->context;
	struct error busy = ERROR_INIT;
	cleanup_fd int fd = -1;

	assert_ptr_equal(of, &request);
	seen.calls++;
	seen.dumpable = prctl(PR_GET_DUMPABLE);
	seen.offline = ctx->offline;
	seen.sysfs = ctx->sysfs.fd >= 0;
	seen.wait = ctx->settings.license.wait;
	(void)text_copy(seen.worker, sizeof(seen.worker), agent->tools.worker);
	(void)text_copy(seen.net, sizeof(seen.net), agent->context.channel->net);
	(void)text_copy(seen.version, sizeof(seen.version), agent->state.driver.version);
	seen.lock_free = root_mkdir(&ctx->root, PATHS_LOCK_DIR, 0755, err) == 0 &&
			 lock_take(&ctx->root, PATHS_LOCK, 0, -1, &fd, &busy) == 0;
	*ret_report = json_build("{s:i}", "schema", 1);
	agent->tools.step = "match";
	return seen.result < 0 ? error_set(err, ERROR_NO_MATCH, "no match") : 0;
}

static const struct command_call looks = { .name = "look",
					   .run = look_around,
					   .cancel_fd = -1 };
static const struct command_call changes = {
	.name = "change", .run = look_around, .locks = true, .cancel_fd = -1
};

/* An image with the programs and a configuration; the command line names it. */
static void begin(const struct sysroot *sysroot)
{
	sysroot_empty(sysroot);
	memset(&seen, 0, sizeof(seen));
	request = (struct request){ .options = { .root = sysroot->dir } };
	assert_true(text_format(self, sizeof(self), "%s" PROGRAM, sysroot->dir));
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_mkdir(sysroot, "/etc/vgpu-guest-agent");
	sysroot_mkdir(sysroot, PATHS_STATE);
	sysroot_program(sysroot, "/usr/bin/fetch-worker");
	sysroot_program(sysroot, "/usr/bin/net-worker");
	sysroot_write(sysroot, PATHS_CONFIG, "license: { wait = 77; };\n");
}

static int execute(const struct command_call *call, const char **step, struct error *err)
{
	struct json *report = NULL;
	int result = command_execute(call, &request, &report, step, err);

	assert_int_equal(report != NULL, seen.calls > 0);
	json_free(report);
	return result;
}

static void a_command_finds_everything_open(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	char worker[256];
	const char *step;

	begin(sysroot);
	sysroot_write(sysroot, PATHS_STATE_FILE,
		      "{\"schema\":1,\"driver\":{\"version\":\"550.90.07\",\"kind\":"
		      "\"run\",\"path\":\"\",\"sha256\":\"\",\"open\":false}}");
	if (execute(&looks, &step, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(seen.calls, 1);
	assert_true(seen.offline);
	assert_false(seen.sysfs);
	assert_int_equal(seen.wait, 77);
	assert_string_equal(seen.version, "550.90.07");
	assert_int_equal(seen.dumpable, 0);
	assert_true(text_format(worker, sizeof(worker), "%s/usr/bin/fetch-worker",
				sysroot->dir));
	assert_string_equal(seen.worker, worker);
}

static void the_commands_failure_is_the_calls_with_its_step(void **state)
{
	struct error err = ERROR_INIT;
	const char *step;

	begin(*state);
	seen.result = -1;
	assert_int_equal(execute(&looks, &step, &err), -1);

	assert_int_equal(err.code, ERROR_NO_MATCH);
	assert_string_equal(step, "match");
}

static void the_workers_are_beside_the_program_or_where_they_are_installed(void **state)
{
	static const char *const names[] = { "fetch-worker", "net-worker" };
	const struct sysroot *sysroot = *state;
	char installed[512], folder[512] = "";
	struct error err = ERROR_INIT;
	const char *step;

	begin(sysroot);
	root_discard(&sysroot->root, "/usr/bin/net-worker");
	/* The error names the place: "ROOT/usr/bin/../FOLDER/fetch-worker". */
	for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
		const char *from_bin;

		assert_int_equal(execute(&looks, &step, &err), -1);
		assert_int_equal(err.code, ERROR_INTERNAL);
		assert_non_null(strstr(err.text, "the worker is not there"));
		assert_string_equal(step, "look");
		from_bin = strstr(err.text, "/usr/bin/../");
		assert_non_null(from_bin);
		assert_true(text_format(installed, sizeof(installed), "/usr/%s",
					from_bin + strlen("/usr/bin/../")));
		assert_string_equal(text_base_name(installed), names[i]);
		assert_true(text_copy(folder, sizeof(folder), installed));
		*strrchr(folder, '/') = '\0';
		err = ERROR_INIT;
		assert_int_equal(root_mkdir(&sysroot->root, folder, 0755, &err), 0);
		sysroot_program(sysroot, installed);
	}
	if (execute(&looks, &step, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(text_ends(seen.net, installed + strlen("/usr")));
	assert_string_equal(text_base_name(seen.worker), names[0]);
}

/* A file that is no program, and a place that cannot be asked for or has no folder. */
static void a_worker_that_is_none_is_not_started(void **state)
{
	static const char *const places[] = { NULL, "", "vgpu-guest-agent" };

	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		const struct sysroot *sysroot = *state;
		struct error err = ERROR_INIT;
		const char *step;

		begin(sysroot);
		if (places[i])
			(void)strcpy(self, places[i]);
		else
			assert_int_equal(fchmodat(sysroot->root.fd,
						  "usr/bin/fetch-worker", 0644, 0),
					 0);
		assert_int_equal(execute(&looks, &step, &err), -1);
		assert_non_null(strstr(err.text, "worker"));
		assert_int_equal(seen.calls, 0);
	}
}

static void what_the_command_line_names_must_be_there(void **state)
{
	static const char config[] = "colour = 1;\n";

	for (unsigned i = 0; i < 3; i++) {
		struct error err = ERROR_INIT;
		const char *step;

		begin(*state);
		if (i == 0)
			request.options.root = "/nowhere/to/be/found";
		else if (i == 1)
			request.options.sysfs = "/nowhere/to/be/found";
		else
			sysroot_write(*state, PATHS_CONFIG, config);
		assert_int_equal(execute(&looks, &step, &err), -1);
		assert_int_equal(err.code, ERROR_USAGE);
		assert_int_equal(seen.calls, 0);
	}
}

static void another_machines_pci_bus_is_opened_where_it_is_named(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	const char *step;

	begin(sysroot);
	request.options.sysfs = sysroot->dir;
	if (execute(&looks, &step, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(seen.sysfs);
}

/* One that only looks takes no lock, and waits for none. */
static void only_one_command_changes_the_system(void **state)
{
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;
	cleanup_fd int held = -1;
	const char *step;

	begin(sysroot);
	if (execute(&changes, &step, &err) < 0)
		fail_msg("%s", err.text);
	assert_false(seen.lock_free);
	if (execute(&looks, &step, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(seen.lock_free);

	assert_int_equal(lock_take(&sysroot->root, PATHS_LOCK, 0, -1, &held, &err), 0);
	if (execute(&looks, &step, &err) < 0)
		fail_msg("%s", err.text);
	seen.calls = 0;
	assert_int_equal(execute(&changes, &step, &err), -1);
	assert_int_equal(err.code, ERROR_BUSY);
	assert_string_equal(step, "change");
}

static void a_state_of_a_later_agent_is_not_gone_by(void **state)
{
	const struct command_call *const calls[] = { &looks, &changes };

	for (size_t i = 0; i < ARRAY_SIZE(calls); i++) {
		struct error err = ERROR_INIT;
		const char *step;

		begin(*state);
		sysroot_write(*state, PATHS_STATE_FILE, "{\"schema\":99}");
		assert_int_equal(execute(calls[i], &step, &err), -1);
		assert_non_null(strstr(err.text, "is a later agent's"));
		assert_int_equal(seen.calls, 0);
	}
}

static void who_is_not_root_is_told_how_to_be(void **state)
{
	static const struct command_call roots = {
		.name = "seal", .run = look_around, .needs_root = true, .cancel_fd = -1
	};
	bool is_root = geteuid() == 0;
	struct error err = ERROR_INIT;
	const char *step;
	int result;

	begin(*state);
	assert_true(!is_root || seteuid(NOBODY) == 0);
	result = execute(&roots, &step, &err);
	assert_true(!is_root || seteuid(0) == 0);

	assert_int_equal(result, -1);
	assert_int_equal(err.code, ERROR_PERMISSION);
	assert_string_equal(err.hint, "sudo vgpu-guest-agent seal");
	assert_string_equal(step, "seal");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_command_finds_everything_open),
		TEST(the_commands_failure_is_the_calls_with_its_step),
		TEST(the_workers_are_beside_the_program_or_where_they_are_installed),
		TEST(a_worker_that_is_none_is_not_started),
		TEST(what_the_command_line_names_must_be_there),
		TEST(another_machines_pci_bus_is_opened_where_it_is_named),
		TEST(only_one_command_changes_the_system),
		TEST(a_state_of_a_later_agent_is_not_gone_by),
		TEST(who_is_not_root_is_told_how_to_be),
	};

	return cmocka_run_group_tests_name("command_agent", tests, NULL, NULL);
}
