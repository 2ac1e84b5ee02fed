/* wrap: clock_is_synchronized */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/text.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"

#define SECURE_BOOT \
	"/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c"

static bool clock_set;

bool __wrap_clock_is_synchronized(void);
bool __wrap_clock_is_synchronized(void)
{
	return clock_set;
}

static struct machine machine;
static const struct options options;
static struct error failure;

/* A guest for which a driver was chosen, and nothing is in its way. */
static struct agent *begin(const struct sysroot *sysroot)
{
	struct agent *agent;
	struct error err = ERROR_INIT;

	sysroot_empty(sysroot);
	clock_set = true;
	agent = agent_stage_guest(sysroot, &options, &machine);
	agent->context.job = JOB_RUN;
	assert_int_equal(guest_look(&agent->context, &agent->guest, &err), 0);
	work_begin(&agent->context, &agent->guest, &agent->work);
	agent->work.match.rule = MATCH_VERSION;
	(void)strcpy(agent->work.match.package.version, MACHINE_NEW);
	agent->work.match.package.size = 4096;
	return agent;
}

/* "NAME yes|no|null: DETAIL" of one check; what a run would die of is in `failure`. */
static const char *check(struct agent *agent, const struct error *match, const char *name)
{
	static char text[512];
	const struct preflight of = { .ctx = &agent->context,
				      .guest = &agent->guest,
				      .state = &agent->state,
				      .repository = &agent->repository,
				      .work = &agent->work,
				      .metadata = &agent->metadata,
				      .lease = &agent->lease };
	cleanup_json struct json *checks = command_preflight(&of, match, &failure);

	assert_int_equal(json_count(checks), 16);
	for (size_t i = 0; i < json_count(checks); i++) {
		const struct json *item = json_at(checks, i), *ok = json_get(item, "ok");

		if (strcmp(json_get_string(item, "name"), name) != 0)
			continue;
		(void)text_format(text, sizeof(text), "%s: %s",
				  json_kind(ok) == JSON_KIND_NULL    ? "null"
				  : json_get_bool(item, "ok", false) ? "yes"
								     : "no",
				  json_get_string(item, "detail"));
		return text;
	}
	fail_msg("no check %s", name);
	return "";
}

static void a_guest_with_nothing_in_the_way_would_not_fail(void **state)
{
	static const char *const rows[][2] = {
		{ "gpu", "yes: 1 NVIDIA GPU on the PCI bus" },
		{ "match", "yes: driver " MACHINE_NEW " by rule version" },
		{ "read_only", "yes: /usr, /lib/modules and /etc can be written" },
		{ "headers", "yes: /lib/modules/" MACHINE_KERNEL "/build" },
		{ "compiler", "yes: /usr/bin/gcc-12" },
		{ "secure_boot", "yes: no UEFI" },
		{ "nouveau", "yes: not bound" },
		{ "package_lock", "null: could not be asked" },
		{ "clock", "yes: synchronised" },
		{ "token", "null: there is none" },
		{ "license_server", "null: not asked: no token names one" },
	};
	struct agent *agent = begin(*state);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		assert_string_equal(check(agent, NULL, rows[i][0]), rows[i][1]);
	assert_int_equal(failure.code, ERROR_NONE);
	agent_stage_end(agent);
}

static void why_nothing_matched_is_said(void **state)
{
	struct agent *agent = begin(*state);
	struct error match = ERROR_INIT;

	(void)error_set(&match, ERROR_NO_MATCH, "nothing fits");
	(void)error_hint(&match, "publish one");
	assert_string_equal(check(agent, &match, "match"), "no: nothing fits");
	assert_int_equal(failure.code, ERROR_NO_MATCH);
	assert_string_equal(failure.hint, "publish one");
	agent_stage_end(agent);
}

/* Of several things that are wrong a run dies of the first. */
static void the_first_thing_that_is_wrong_is_what_a_run_dies_of(void **state)
{
	struct agent *agent = begin(*state);
	struct error match = ERROR_INIT;

	(void)error_set(&match, ERROR_NO_MATCH, "nothing fits");
	(void)error_hint(&match, "publish one");
	agent->guest.gpus.count = 0;
	assert_string_equal(check(agent, &match, "gpu"),
			    "no: 0 NVIDIA GPUs on the PCI bus");
	assert_int_equal(failure.code, ERROR_NO_GPU);
	assert_string_equal(failure.hint, ""); /* not that of the second one */

	agent->context.offline = true;
	assert_string_equal(check(agent, &match, "gpu"),
			    "null: 0 NVIDIA GPUs on the PCI bus");
	assert_int_equal(failure.code, ERROR_NO_MATCH);
	agent_stage_end(agent);
}

static void the_room_is_measured_where_the_size_is_known(void **state)
{
	static const struct {
		uint64_t size;
		const char *begins;
		enum error_code code;
	} rows[] = {
		{ 4096, "yes: ", ERROR_NONE },
		{ 0, "null: the size of the package is not known", ERROR_NONE },
		{ UINT64_MAX / 8, "no: ", ERROR_PREREQUISITES },
	};
	struct agent *agent = begin(*state);
	struct error err = ERROR_INIT;

	/* Also where the folder is still to be made. */
	assert_int_equal(root_remove_tree(&agent->context.root, PATHS_CACHE, &err), 0);
	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		agent->work.match.package.size = rows[i].size;
		if (!text_starts(check(agent, NULL, "space"), rows[i].begins))
			fail_msg("%s", check(agent, NULL, "space"));
		assert_int_equal(failure.code, rows[i].code);
	}
	agent_stage_end(agent);
}

/* What is missing is installed by a run, unless that is not wanted. */
static void what_a_compile_needs_is_there_or_will_be_installed(void **state)
{
	static const struct {
		const char *path, *name, *install, *require;
	} rows[] = {
		{ "/lib/modules/" MACHINE_KERNEL "/build", "headers",
		  "null: not here; run installs them", "no: not here" },
		{ "/usr/bin/make", "compiler", "null: missing: make; run installs it",
		  "no: missing: make" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);
		char *wanted = agent->context.settings.driver.prerequisites;
		struct error err = ERROR_INIT;

		assert_int_equal(
			root_remove_tree(&agent->context.root, rows[i].path, &err), 0);
		agent->work.targets[0].kernel.headers = i > 0;
		(void)strcpy(wanted, "install");
		assert_string_equal(check(agent, NULL, rows[i].name), rows[i].install);
		assert_int_equal(failure.code, ERROR_NONE);
		(void)strcpy(wanted, "require");
		assert_string_equal(check(agent, NULL, rows[i].name), rows[i].require);
		assert_int_equal(failure.code, ERROR_PREREQUISITES);
		agent_stage_end(agent);
	}
}

static void a_compile_that_is_known_to_fail_is_foretold(void **state)
{
	struct agent *agent = begin(*state);

	agent->work.match.doomed = true;
	(void)strcpy(agent->work.match.warning, "550.127.05 is known not to compile");
	assert_string_equal(check(agent, NULL, "compiler"),
			    "no: 550.127.05 is known not to compile");
	assert_int_equal(failure.code, ERROR_BUILD);
	agent->work.targets[0].done = true;
	assert_string_equal(check(agent, NULL, "compiler"), "yes: not needed");
	assert_int_equal(failure.code, ERROR_NONE);
	agent_stage_end(agent);
}

static void where_nothing_is_compiled_no_compiler_is_looked_for(void **state)
{
	struct agent *agent = begin(*state);

	(void)strcpy(agent->context.settings.driver.prebuilt, "only");
	assert_string_equal(
		check(agent, NULL, "compiler"),
		"no: no prebuilt modules for kernel 6.1.0-37-cloud-amd64: the "
		"repository's index lists none");
	assert_int_equal(failure.code, ERROR_PREREQUISITES);
	agent->work.targets[0].done = true;
	assert_string_equal(check(agent, NULL, "compiler"), "yes: not needed");
	agent->work.target_count = 0;
	assert_string_equal(check(agent, NULL, "headers"), "no: no kernel to build for");
	assert_int_equal(failure.code, ERROR_PREREQUISITES);
	agent_stage_end(agent);
}

static void put_variable(const struct sysroot *sysroot, char value)
{
	const char bytes[] = { 6, 0, 0, 0, value };
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;

	fd = root_open_at(&sysroot->root, SECURE_BOOT, O_WRONLY | O_CREAT | O_TRUNC, 0644,
			  &err);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, sizeof(bytes)), sizeof(bytes));
}

static void secure_boot_needs_a_key(void **state)
{
	static const struct {
		char on;
		bool key, offline;
		const char *expected;
		enum error_code code;
	} rows[] = {
		{ 0, false, false, "yes: Secure Boot is off", ERROR_NONE },
		{ 1, false, false,
		  "no: this kernel takes only signed modules (Secure Boot is on) and "
		  "there is no key to sign them with",
		  ERROR_SECURE_BOOT },
		{ 1, true, false,
		  "no: signing.key: opening /etc/mok.key: No such file or directory",
		  ERROR_USAGE },
		{ 1, false, true, "null: not asked: offline", ERROR_NONE },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);

		sysroot_mkdir(*state, "/sys/firmware/efi/efivars");
		put_variable(*state, rows[i].on);
		(void)strcpy(agent->context.settings.signing.key,
			     rows[i].key ? "/etc/mok.key" : "");
		agent->context.offline = rows[i].offline;
		assert_string_equal(check(agent, NULL, "secure_boot"), rows[i].expected);
		assert_int_equal(failure.code, rows[i].code);
		agent_stage_end(agent);
	}
}

static void a_module_of_the_kernels_own_is_in_the_way_but_goes(void **state)
{
	static const struct {
		const char *driver, *expected;
	} rows[] = {
		{ "nouveau", "null: nouveau holds 0000:06:00.0; run unloads it" },
		{ "nova_core", "null: nova_core holds 0000:06:00.0; run unloads it" },
		{ "nvidia", "yes: not bound" },
	};
	struct agent *agent = begin(*state);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		(void)strcpy(agent->guest.gpus.gpus[0].driver, rows[i].driver);
		assert_string_equal(check(agent, NULL, "nouveau"), rows[i].expected);
		assert_int_equal(failure.code, ERROR_NONE);
	}
	agent_stage_end(agent);
}

/* A lock of our own is none for fcntl(2): another process holds it. */
static void a_package_manager_at_work_is_named(void **state)
{
	static const char *const locks[] = { "/var/lib/dpkg/lock-frontend",
					     "/var/lib/rpm/.rpm.lock" };

	for (size_t i = 0; i < ARRAY_SIZE(locks); i++) {
		struct agent *agent = begin(*state);
		int held[2], done[2];
		char expected[96], byte;
		pid_t pid;

		sysroot_mkdir(*state, i ? "/var/lib/rpm" : "/var/lib/dpkg");
		sysroot_write(*state, locks[i], "");
		assert_string_equal(check(agent, NULL, "package_lock"), "yes: free");

		assert_int_equal(pipe(held) | pipe(done), 0);
		pid = fork();
		if (pid == 0) {
			struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
			int fd = openat(agent->context.root.fd, locks[i] + 1, O_RDWR);

			(void)close(done[1]);
			if (fcntl(fd, F_SETLK, &lock) < 0 || write(held[1], "", 1) < 0)
				_exit(1);
			_exit(read(done[0], &byte, 1) < 0);
		}
		(void)close(held[1]);
		assert_int_equal(read(held[0], &byte, 1), 1);
		(void)text_format(expected, sizeof(expected),
				  "null: held by process %ld; run waits for it",
				  (long)pid);
		assert_string_equal(check(agent, NULL, "package_lock"), expected);
		(void)close(done[1]);
		(void)close(done[0]);
		(void)close(held[0]);
		assert_int_equal(waitpid(pid, NULL, 0), pid);
		agent_stage_end(agent);
	}
}

static void a_clock_that_is_not_set_is_only_not_known(void **state)
{
	struct agent *agent = begin(*state);

	clock_set = false;
	assert_string_equal(check(agent, NULL, "clock"),
			    "null: not known to be synchronised");
	assert_int_equal(failure.code, ERROR_NONE);
	agent_stage_end(agent);
}

static void put_token(const struct sysroot *sysroot)
{
	sysroot_mkdir(sysroot, PATHS_TOKENS);
	sysroot_write(sysroot, PATHS_TOKEN, "eyJ.a.b");
}

#define PROBE(outcome)                                                            \
	"echo '{\"result\":{\"servers\":[{\"host\":\"dls.example\",\"port\":443," \
	"\"outcome\":\"" outcome "\"}]}}' >&3"
#define TOKEN(problems)                                                  \
	"echo '{\"result\":{\"valid\":true,\"problems\":[" problems "]," \
	"\"servers\":[{\"host\":\"dls.example\",\"ports\":[443]}]}}' >&3"
#define PROBLEM(severity)                                            \
	"{\"code\":\"x\",\"severity\":\"" severity "\",\"message\":" \
	"\"it is odd\"}"

static void the_token_is_judged_and_its_server_asked(void **state)
{
	static const struct {
		struct agent_stage_answer answers[3];
		const char *token, *server;
		enum error_code code;
	} rows[] = {
		{ { { "token", TOKEN("") }, { "probe", PROBE("open") } },
		  "yes: the installed token",
		  "yes: dls.example port 443 ",
		  ERROR_NONE },
		{ { { "token", TOKEN(PROBLEM("warning")) },
		    { "probe", PROBE("refused") } },
		  "yes: the installed token: it is odd",
		  "no: dls.example port 443 ",
		  ERROR_NONE },
		{ { { "token", TOKEN(PROBLEM("error")) }, { "probe", PROBE("open") } },
		  "no: it is odd",
		  "yes: dls.example port 443 ",
		  ERROR_TOKEN },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state);

		put_token(*state);
		agent_stage_worker(agent, *state, rows[i].answers);
		if (!text_starts(check(agent, NULL, "license_server"), rows[i].server))
			fail_msg("%s", check(agent, NULL, "license_server"));
		assert_string_equal(check(agent, NULL, "token"), rows[i].token);
		assert_int_equal(failure.code, rows[i].code);
		agent_stage_end(agent);
	}
}

static void where_a_license_is_needed_a_token_is(void **state)
{
	struct agent *agent = begin(*state);

	agent->guest.gpus.gpus[0].kind = GPU_VGPU;
	assert_true(text_starts(check(agent, NULL, "token"),
				"no: there is no client configuration token"));
	assert_int_equal(failure.code, ERROR_TOKEN);
	assert_non_null(strstr(failure.hint, "token install FILE"));

	(void)strcpy(agent->context.settings.license.token_file, "/none.tok");
	assert_true(text_starts(check(agent, NULL, "token"), "no: opening /none.tok"));
	agent_stage_end(agent);
}

static void what_install_refuses_by_is_seen_before(void **state)
{
	struct agent *agent = begin(*state);

	sysroot_mkdir(*state, "/etc/modprobe.d");
	sysroot_write(*state, "/etc/modprobe.d/off.conf", "alias nvidia off\n");
	assert_true(text_starts(check(agent, NULL, "modprobe"), "no: "));
	assert_int_not_equal(failure.code, ERROR_NONE);

	/* Nothing is to be installed: nothing is in the way. */
	agent->work.match.rule = MATCH_INSTALLED;
	agent->work.targets[0].done = true;
	assert_true(text_starts(check(agent, NULL, "modprobe"), "yes: "));
	assert_int_equal(failure.code, ERROR_NONE);
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guest_with_nothing_in_the_way_would_not_fail),
		TEST(why_nothing_matched_is_said),
		TEST(the_first_thing_that_is_wrong_is_what_a_run_dies_of),
		TEST(the_room_is_measured_where_the_size_is_known),
		TEST(what_a_compile_needs_is_there_or_will_be_installed),
		TEST(a_compile_that_is_known_to_fail_is_foretold),
		TEST(where_nothing_is_compiled_no_compiler_is_looked_for),
		TEST(secure_boot_needs_a_key),
		TEST(a_module_of_the_kernels_own_is_in_the_way_but_goes),
		TEST(a_package_manager_at_work_is_named),
		TEST(a_clock_that_is_not_set_is_only_not_known),
		TEST(the_token_is_judged_and_its_server_asked),
		TEST(where_a_license_is_needed_a_token_is),
		TEST(what_install_refuses_by_is_seen_before),
	};

	return cmocka_run_group_tests_name("command_preflight", tests, NULL, NULL);
}
