/* wrap: gridd_stop clock_sleep */
/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <fcntl.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/manager.h"
#include "base/text.h"
#include "steps/license/announce.h"
#include "steps/license/gridd.h"
#include "steps/sealed.h"
#include "support/agent_stage.h"
#include "support/cmocka.h"
#include "support/script.h"

#define NVIDIA "/sys/module/nvidia"

static const struct request request;
static struct script script;

/* The daemon of the guest, instead of this machine's. */
static struct {
	int stops;
	bool active, fails;
} daemon_of_guest;

int __wrap_gridd_stop(struct runner *runner, const struct root *root, bool *ret_changed,
		      struct error *err);
int __wrap_gridd_stop(struct runner *runner, const struct root *root, bool *ret_changed,
		      struct error *err)
{
	(void)runner;
	(void)root;
	daemon_of_guest.stops++;
	*ret_changed = daemon_of_guest.active;
	daemon_of_guest.active = false;
	return daemon_of_guest.fails ? error_set(err, ERROR_INTERNAL, "no bus") : 0;
}

/* The moment in which the monitor lets go of the driver: what it sees then. */
static struct {
	const struct sysroot *sysroot;
	bool told;
	int waits;
} monitor;

int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err);
int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err)
{
	(void)seconds;
	(void)cancel_fd;
	(void)err;
	monitor.waits++;
	monitor.told = announce_is_changing(&monitor.sysroot->root);
	return 0;
}

static void remove_path(struct script *of, const char *path)
{
	const struct sysroot *sysroot = of->context;
	struct error err = ERROR_INIT;

	assert_int_equal(root_remove_tree(&sysroot->root, path, &err), 0);
}

static void unload(struct script *of, const struct run *run)
{
	(void)run;
	remove_path(of, NVIDIA);
}

static void uninstall(struct script *of, const struct run *run)
{
	(void)run;
	remove_path(of, PATHS_SMI);
	remove_path(of, "/usr/bin/nvidia-uninstall");
}

static const struct script_answer goes[] = {
	{ .match = "rmmod nvidia", .act = unload },
	{ .match = "--uninstall", .act = uninstall },
	{ .match = "depmod" },
	{ .match = NULL },
};

/* A guest with a driver of ours, loaded, and everything that belongs to it. */
static struct agent *begin(const struct sysroot *sysroot,
			   const struct script_answer *answers)
{
	static const char *const files[][2] = {
		{ PATHS_SOURCES, "version" },
		{ "/lib/modules/" MACHINE_KERNEL "/" PATHS_MODULES, "nvidia.ko" },
		{ "/etc/modprobe.d", "vgpu-guest-agent.conf" },
		{ NVIDIA, "initstate" },
		{ PATHS_NVIDIA, "gridd.conf" },
		{ PATHS_TOKENS, PATHS_TOKEN_NAME },
		{ PATHS_STATE, PATHS_STATE_NAME },
		{ PATHS_CACHE, "download.run" },
		{ PATHS_LOGS, "run.log" },
	};
	struct agent *agent;

	sysroot_empty(sysroot);
	sysroot_mkdir(sysroot, "/usr/bin");
	sysroot_mkdir(sysroot, "/usr/sbin");
	sysroot_mkdir(sysroot, "/run");
	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		char path[256];

		sysroot_mkdir(sysroot, files[i][0]);
		(void)text_format(path, sizeof(path), "%s/%s", files[i][0], files[i][1]);
		sysroot_write(sysroot, path, "ours");
	}
	root_discard(&sysroot->root, PATHS_STATE_FILE);
	sysroot_program(sysroot, PATHS_SMI);
	sysroot_program(sysroot, "/usr/bin/nvidia-uninstall");
	sysroot_program(sysroot, "/usr/sbin/rmmod");
	sysroot_program(sysroot, "/usr/sbin/depmod");

	agent = agent_stage(sysroot, &request.options);
	script_init(&script, answers, (void *)(uintptr_t)sysroot);
	agent->context.runner = &script.runner;
	(void)strcpy(agent->state.driver.version, "550.90.07");
	agent->state.driver.kind = PACKAGE_RUN;
	json_free(agent->state.steps);
	agent->state.steps = json_build("{s:{s:s}, s:{s:s}}", "configure", "outcome",
					"changed", "token", "outcome", "changed");
	daemon_of_guest.stops = 0;
	daemon_of_guest.active = true;
	daemon_of_guest.fails = false;
	monitor.sysroot = sysroot;
	monitor.told = false;
	monitor.waits = 0;
	return agent;
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct stat st;

	return root_stat(&sysroot->root, path, &st);
}

static const struct json *step_of(const struct json *report, const char *name)
{
	const struct json *steps = json_get(report, "steps");

	for (size_t i = 0; i < json_count(steps); i++) {
		if (strcmp(json_get_string(json_at(steps, i), "step"), name) == 0)
			return json_at(steps, i);
	}
	fail_msg("no step %s", name);
	return NULL;
}

static void assert_step(const struct json *report, const char *name, const char *outcome,
			const char *detail)
{
	const struct json *step = step_of(report, name);

	assert_string_equal(json_get_string(step, "outcome"), outcome);
	assert_string_equal(json_get_string(step, "detail"), detail);
}

static void all_that_is_ours_goes(void **state)
{
	static const char *const gone[] = {
		PATHS_SMI,        NVIDIA,
		PATHS_SOURCES,    PATHS_BLACKLIST,
		PATHS_GRIDD_CONF, PATHS_TOKEN,
		PATHS_STATE,      PATHS_CACHE,
		PATHS_LOGS,       "/lib/modules/" MACHINE_KERNEL "/" PATHS_MODULES
	};
	struct agent *agent = begin(*state, goes);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	if (command_uninstall(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	for (size_t i = 0; i < ARRAY_SIZE(gone); i++) {
		if (is_there(*state, gone[i]))
			fail_msg("%s is still there", gone[i]);
	}
	assert_int_equal(daemon_of_guest.stops, 1);
	assert_step(report, "stop", "unchanged", "no unit of ours is active");
	assert_true(sealed_is(&agent->context.root));
	assert_step(report, "gridd", "changed", "stopped, its license is returned");
	assert_step(report, "unload", "changed", "unloaded");
	assert_step(report, "driver", "changed", "driver 550.90.07 removed");
	assert_step(report, "modules", "changed", "removed, of every kernel");
	assert_step(report, "files", "changed", "blacklist, kept sources, unit removed");
	assert_step(report, "configure", "changed", "gridd.conf removed");
	assert_step(report, "token", "changed", "removed");
	assert_step(report, "state", "changed", "state, cache and logs removed");
	agent_stage_end(agent);
}

static void a_second_time_nothing_changes(void **state)
{
	static const struct script_answer none[] = { { .match = NULL } };
	struct agent *agent = begin(*state, goes);
	cleanup_json struct json *first = NULL, *second = NULL;
	struct error err = ERROR_INIT;

	if (command_uninstall(agent, &request, &first, &err) < 0)
		fail_msg("%s", err.text);
	agent_stage_end(agent);
	agent = agent_stage(*state, &request.options);
	script_init(&script, none, NULL);
	agent->context.runner = &script.runner;
	if (command_uninstall(agent, &request, &second, &err) < 0)
		fail_msg("%s", err.text);

	assert_int_equal(json_count(json_get(second, "steps")), 9);
	for (size_t i = 0; i < 9; i++)
		assert_string_equal(
			json_get_string(json_at(json_get(second, "steps"), i), "outcome"),
			"unchanged");
	assert_step(second, "driver", "unchanged", "no driver of ours");
	assert_step(second, "state", "unchanged", "none here");
	agent_stage_end(agent);
}

/* No driver is on record as ours: the one that is there is somebody else's. */
static void what_others_installed_stays(void **state)
{
	static const char *const stays[] = { PATHS_SMI, NVIDIA, PATHS_GRIDD_CONF,
					     PATHS_TOKEN };
	static const struct script_answer only[] = { { .match = "depmod" },
						     { .match = NULL } };
	struct agent *agent = begin(*state, only);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->state.driver.version[0] = '\0';
	json_free(agent->state.steps);
	agent->state.steps = json_build("{}");
	if (command_uninstall(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	for (size_t i = 0; i < ARRAY_SIZE(stays); i++)
		assert_true(is_there(*state, stays[i]));
	assert_int_equal(daemon_of_guest.stops, 0);
	assert_step(report, "gridd", "unchanged", "its license is not ours");
	assert_step(report, "unload", "unchanged", "no driver of ours");
	assert_step(report, "driver", "unchanged", "no driver of ours");
	assert_step(report, "configure", "unchanged", "nothing of ours in gridd.conf");
	assert_step(report, "token", "unchanged", "none of ours");
	agent_stage_end(agent);
}

/* The license is ours where the token or the configuration is, whoever's the driver. */
static void the_license_of_an_adopted_driver_goes_back_too(void **state)
{
	static const struct script_answer only[] = { { .match = "depmod" },
						     { .match = NULL } };
	static const char *const ours[] = { "token", "configure" };

	for (size_t i = 0; i < ARRAY_SIZE(ours); i++) {
		struct agent *agent = begin(*state, only);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		agent->state.driver.version[0] = '\0';
		json_free(agent->state.steps);
		agent->state.steps =
			json_build("{s:{s:s}}", ours[i], "outcome", "changed");
		if (command_uninstall(agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);

		assert_int_equal(daemon_of_guest.stops, 1);
		assert_step(report, "gridd", "changed",
			    "stopped, its license is returned");
		assert_true(is_there(*state, PATHS_SMI));
		agent_stage_end(agent);
	}
}

#define RPM_LOCK "/var/lib/rpm/.rpm.lock"

/* Another process, that holds rpm's lock until it is told to end. */
static pid_t hold_lock(const struct sysroot *sysroot, int *ret_end)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int ready[2], end[2];
	char byte = 0;
	pid_t pid;

	sysroot_mkdir(sysroot, "/var/lib/rpm");
	sysroot_write(sysroot, RPM_LOCK, "");
	assert_int_equal(pipe(ready), 0);
	assert_int_equal(pipe(end), 0);
	pid = fork();
	if (pid == 0) {
		int fd = openat(sysroot->root.fd, &RPM_LOCK[1], O_RDWR | O_CLOEXEC);

		(void)close(end[1]);
		_exit(fcntl(fd, F_SETLK, &lock) < 0 || write(ready[1], &byte, 1) != 1 ||
		      read(end[0], &byte, 1) != 0);
	}
	(void)close(ready[1]);
	(void)close(end[0]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	*ret_end = end[1];
	return pid;
}

/* What uninstall came to, and that nothing was stopped or unloaded for it. */
static void assert_judged(const struct sysroot *sysroot, struct agent *agent,
			  struct error *ret_err)
{
	cleanup_json struct json *report = NULL;

	*ret_err = ERROR_INIT;
	sysroot_program(sysroot, "/usr/bin/dnf");
	assert_int_equal(command_uninstall(agent, &request, &report, ret_err), -1);
	assert_string_equal(json_get_string(step_of(report, "stop"), "outcome"),
			    "failed");
	assert_int_equal(daemon_of_guest.stops, 0);
	assert_false(sealed_is(&agent->context.root));
	assert_true(is_there(sysroot, NVIDIA));
	agent_stage_end(agent);
}

static void what_cannot_be_removed_is_said_before_anything_is_stopped(void **state)
{
	static const struct script_answer nobodys[] = {
		{ .match = "rpm -q", .status = 1, .output = "no package provides\n" },
		{ .match = "dpkg-query", .status = 1, .output = "no path found\n" },
		{ .match = NULL },
	};
	static const struct script_answer somebodys[] = {
		{ .match = "rpm -q", .output = "nvidia-linux-grid-550\n" },
		{ .match = NULL },
	};
	static const enum package_kind kinds[] = { PACKAGE_DEB, PACKAGE_RPM };
	struct agent *agent;
	struct error err;
	pid_t holder;
	int end;

	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		agent = begin(*state, nobodys);
		agent->state.driver.kind = kinds[i];
		assert_judged(*state, agent, &err);
		assert_int_equal(err.code, ERROR_INSTALL);
	}

	agent = begin(*state, somebodys);
	agent->state.driver.kind = PACKAGE_RPM;
	holder = hold_lock(*state, &end);
	assert_judged(*state, agent, &err);
	assert_true(manager_was_locked(&err));
	(void)close(end);
	assert_int_equal(waitpid(holder, NULL, 0), holder);
}

/* A driver that was only being installed is ours, too, by its own kind. */
static void a_driver_that_was_cut_off_goes_too(void **state)
{
	struct agent *agent = begin(*state, goes);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->state.installing = agent->state.driver;
	(void)strcpy(agent->state.installing.version, "550.127.05");
	agent->state.driver = (struct driver){ .kind = PACKAGE_DEB };
	if (command_uninstall(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_false(is_there(*state, PATHS_SMI));
	assert_step(report, "driver", "changed", "driver 550.127.05 removed");
	agent_stage_end(agent);
}

static void a_driver_whose_files_are_gone_is_said_to_be(void **state)
{
	struct agent *agent = begin(*state, goes);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	uninstall(&script, NULL);
	if (command_uninstall(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_step(report, "driver", "unchanged", "driver 550.90.07 was gone already");
	agent_stage_end(agent);
}

/* The monitor has the driver open: it is told, and gets a moment to let go. */
static void a_module_in_use_is_tried_again_once_the_monitor_knows(void **state)
{
	static const struct script_answer at_once_not[] = {
		{ .match = "rmmod nvidia", .status = 1, .times = 1 },
		{ .match = "rmmod nvidia", .act = unload },
		{ .match = "--uninstall", .act = uninstall },
		{ .match = "depmod" },
		{ .match = NULL },
	};
	static const struct script_answer never[] = {
		{ .match = "rmmod nvidia", .status = 1 },
		{ .match = "--uninstall", .act = uninstall },
		{ .match = "depmod" },
		{ .match = NULL },
	};
	static const struct {
		const struct script_answer *answers;
		const char *outcome, *detail;
	} rows[] = {
		{ at_once_not, "changed", "unloaded" },
		{ never, "unchanged", "in use: it stays loaded until a reboot" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, rows[i].answers);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		if (command_uninstall(agent, &request, &report, &err) < 0)
			fail_msg("%s", err.text);
		assert_step(report, "unload", rows[i].outcome, rows[i].detail);
		assert_int_equal(script_count(&script, "rmmod nvidia"), 2);
		assert_int_equal(monitor.waits, 1);
		assert_true(monitor.told);
		assert_false(announce_is_changing(&monitor.sysroot->root));
		agent_stage_end(agent);
	}
}

/* What the next one goes by is there as long as something else is. */
static void a_failure_ends_it_and_leaves_the_state(void **state)
{
	static const struct script_answer fails[] = {
		{ .match = "rmmod nvidia", .act = unload },
		{ .match = "--uninstall", .status = 1 },
		{ .match = NULL },
	};
	static const struct {
		const char *step;
		bool bus;
	} rows[] = { { "gridd", true }, { "driver", false } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct agent *agent = begin(*state, fails);
		cleanup_json struct json *report = NULL;
		struct error err = ERROR_INIT;

		sysroot_write(*state, PATHS_STATE_FILE, "{}");
		daemon_of_guest.fails = rows[i].bus;
		assert_int_equal(command_uninstall(agent, &request, &report, &err), -1);

		assert_string_equal(
			json_get_string(step_of(report, rows[i].step), "outcome"),
			"failed");
		sysroot_assert_text(*state, PATHS_STATE_FILE, "{}");
		assert_true(is_there(*state, PATHS_TOKEN));
		agent_stage_end(agent);
	}
}

static void in_an_image_nothing_is_unloaded(void **state)
{
	struct agent *agent = begin(*state, goes);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->context.offline = true;
	if (command_uninstall(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	assert_step(report, "stop", "skipped", "offline");
	assert_false(sealed_is(&agent->context.root));
	assert_step(report, "gridd", "skipped", "offline");
	assert_step(report, "unload", "skipped", "offline");
	assert_true(is_there(*state, NVIDIA));
	assert_false(is_there(*state, PATHS_SMI));
	assert_int_equal(daemon_of_guest.stops, 0);
	agent_stage_end(agent);
}

static void a_gridd_conf_of_before_comes_back(void **state)
{
	struct agent *agent = begin(*state, goes);
	cleanup_json struct json *report = NULL;
	struct error err = ERROR_INIT;

	sysroot_mkdir(*state, PATHS_BACKUP);
	sysroot_write(*state, PATHS_BACKUP_CONF, "FeatureType=2\n");
	if (command_uninstall(agent, &request, &report, &err) < 0)
		fail_msg("%s", err.text);

	sysroot_assert_text(*state, PATHS_GRIDD_CONF, "FeatureType=2\n");
	assert_step(report, "configure", "changed", "gridd.conf as it was before");
	agent_stage_end(agent);
}

/* Without a record nobody knows what is ours. */
static void by_a_lost_state_nothing_is_removed(void **state)
{
	static const struct script_answer none[] = { { .match = NULL } };
	struct agent *agent = begin(*state, none);
	struct json *report = NULL;
	struct error err = ERROR_INIT;

	agent->state.lost = true;
	assert_int_equal(command_uninstall(agent, &request, &report, &err), -1);

	assert_int_equal(err.code, ERROR_INTERNAL);
	assert_null(report);
	assert_true(is_there(*state, PATHS_TOKEN));
	agent_stage_end(agent);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, sysroot_setup, sysroot_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(all_that_is_ours_goes),
		TEST(a_second_time_nothing_changes),
		TEST(what_others_installed_stays),
		TEST(the_license_of_an_adopted_driver_goes_back_too),
		TEST(what_cannot_be_removed_is_said_before_anything_is_stopped),
		TEST(a_driver_that_was_cut_off_goes_too),
		TEST(a_driver_whose_files_are_gone_is_said_to_be),
		TEST(a_module_in_use_is_tried_again_once_the_monitor_knows),
		TEST(a_failure_ends_it_and_leaves_the_state),
		TEST(in_an_image_nothing_is_unloaded),
		TEST(a_gridd_conf_of_before_comes_back),
		TEST(by_a_lost_state_nothing_is_removed),
	};

	return cmocka_run_group_tests_name("command_uninstall", tests, NULL, NULL);
}
