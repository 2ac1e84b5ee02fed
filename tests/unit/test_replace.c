/* wrap: clock_monotonic clock_sleep fsync syncfs */
/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/replace.h"

#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "driver/modules.h"
#include "model/paths.h"
#include "support/cmocka.h"
#include "support/machine.h"
#include "support/stage.h"

#define DOWNLOADS PATHS_CACHE "/download"
#define COMMANDS_MAX 120

/* One guest, and what a run knows of it. */
/* Hundreds of installations, and none of them is about a power cut. */
int __wrap_fsync(int fd);
int __wrap_fsync(int fd)
{
	return fd < 0 ? -1 : 0;
}

int __wrap_syncfs(int fd);
int __wrap_syncfs(int fd)
{
	return fd < 0 ? -1 : 0;
}

/* The minute in which a driver may begin to answer goes by while the agent sleeps. */
static double now;

double __wrap_clock_monotonic(void);
double __wrap_clock_monotonic(void)
{
	return now;
}

int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err);
int __wrap_clock_sleep(double seconds, int cancel_fd, struct error *err)
{
	(void)cancel_fd;
	(void)err;
	now += seconds;
	return 0;
}

struct scene {
	struct machine machine;
	struct stage stage;
	struct guest guest;
	struct state state;
	struct repository repository;
	struct lease lease;
	struct work work;
};

static struct scene scene;

static struct driver driver_of(const char *version, enum package_kind kind)
{
	struct driver driver = { .kind = kind };

	(void)text_copy(driver.version, sizeof(driver.version), version);
	(void)text_format(driver.path, sizeof(driver.path), DOWNLOADS "/%s.%s", version,
			  package_kind_name(kind));
	return driver;
}

/* As a new run finds the guest: the state is read from the disk. */
static void begin(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;

	stage_set(&scene.stage, sysroot);
	scene.stage.ctx.runner = &scene.machine.runner;
	scene.guest = (struct guest){ .target_count = 1 };
	scene.guest.targets[0] = (struct kernel){ .release = MACHINE_KERNEL };
	scene.guest.installed.grid = true;
	scene.lease = LEASE_INIT;
	scene.repository = (struct repository){ .source = REPOSITORY_NONE };
	assert_int_equal(state_load(&sysroot->root, &scene.state, &err), 0);
	assert_int_equal(
		detect_kernels(&sysroot->root, false, &scene.guest.kernels, &err), 0);
	if (kernel_find(&scene.guest.kernels, MACHINE_KERNEL))
		scene.guest.targets[0] =
			*kernel_find(&scene.guest.kernels, MACHINE_KERNEL);
}

static void end(void)
{
	work_done(&scene.work);
	state_done(&scene.state);
	stage_clear(&scene.stage);
}

static struct replace replace_of(void)
{
	return (struct replace){ .ctx = &scene.stage.ctx,
				 .state = &scene.state,
				 .repository = &scene.repository,
				 .lease = &scene.lease };
}

/* What the steps unpack, build and install do with this driver. */
static int bring(const struct driver *driver, bool way_back, struct error *err)
{
	const struct context *ctx = &scene.stage.ctx;
	const struct replace replace = replace_of();
	struct outcome outcome = { .step = "build" };

	work_begin(ctx, &scene.guest, &scene.work);
	scene.work.driver = *driver;
	scene.work.way_back = way_back;
	if ((driver->kind == PACKAGE_RUN && modules_unpack(ctx, &scene.work, err) < 0) ||
	    modules_build(ctx, &scene.state, &scene.repository, &scene.work, &outcome,
			  err) < 0) {
		replace_abandon(&replace, &scene.work, err);
		return -1;
	}
	return replace_driver(&replace, &scene.work, &outcome, err);
}

/* The next run: it finishes, or puts back, as choose_cut_off() decides. */
static int bring_again(const struct sysroot *sysroot, struct error *err)
{
	struct driver driver;
	bool way_back = false;

	begin(sysroot);
	driver = scene.state.installing;
	if (!driver.version[0])
		return 0;
	if (scene.state.installing_failed) {
		driver = scene.state.driver;
		way_back = true;
	}
	return driver.path[0] ? bring(&driver, way_back, err) : -1;
}

static void make_guest(const struct sysroot *sysroot, enum package_kind kind,
		       bool with_old)
{
	const struct driver old = driver_of(MACHINE_OLD, kind);
	const struct driver new = driver_of(MACHINE_NEW, kind);
	struct error err = ERROR_INIT;

	machine_init(&scene.machine, sysroot);
	sysroot_mkdir(sysroot, DOWNLOADS);
	machine_add_package(&scene.machine, old.path, MACHINE_OLD);
	begin(sysroot);
	if (with_old && bring(&old, false, &err) < 0)
		fail_msg("%s", err.text);
	end();
	if (with_old) /* the cache is emptied when a driver works */
		sysroot_mkdir(sysroot, DOWNLOADS);
	machine_add_package(&scene.machine, new.path, MACHINE_NEW);
	begin(sysroot);
	scene.machine.count = 0;
}

static bool is_whole(const char *version)
{
	return strcmp(machine_user_space(&scene.machine), version) == 0 &&
	       strcmp(machine_module(&scene.machine), version) == 0 &&
	       strcmp(machine_loaded(&scene.machine), version) == 0 &&
	       strcmp(scene.state.driver.version, version) == 0 &&
	       !scene.state.installing.version[0];
}

static bool is_there(const struct sysroot *sysroot, const char *path)
{
	struct error err = ERROR_INIT;
	bool there;

	assert_int_equal(root_exists(&sysroot->root, path, &there, &err), 0);
	return there;
}

static void empty(const struct sysroot *sysroot)
{
	struct error err = ERROR_INIT;
	cleanup_strv char **names = NULL;

	assert_int_equal(root_list(&sysroot->root, "/", 100, &names, &err), 0);
	for (char **name = names; *name; name++) {
		char path[128];

		(void)snprintf(path, sizeof(path), "/%s", *name);
		assert_int_equal(root_remove_tree(&sysroot->root, path, &err), 0);
	}
}

static void a_driver_is_put_in_place_and_proved(void **state)
{
	const struct driver old = driver_of(MACHINE_OLD, PACKAGE_RUN);
	struct error err = ERROR_INIT;

	make_guest(*state, PACKAGE_RUN, false);
	machine_add_package(&scene.machine, old.path, MACHINE_OLD);

	if (bring(&old, false, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(is_whole(MACHINE_OLD));
	assert_true(scene.lease.loaded && scene.lease.units_changed);
	assert_int_equal(scene.lease.report.count, 1);
	end();
}

/* The machine's modprobe is denied what has no label. */
static void where_selinux_is_on_labels_come_before_the_load(void **state)
{
	const struct driver old = driver_of(MACHINE_OLD, PACKAGE_RUN);
	struct error err = ERROR_INIT;

	make_guest(*state, PACKAGE_RUN, false);
	machine_add_package(&scene.machine, old.path, MACHINE_OLD);
	sysroot_mkdir(*state, "/sys/fs/selinux");
	sysroot_write(*state, "/sys/fs/selinux/enforce", "1");
	sysroot_mkdir(*state, "/etc/selinux");
	sysroot_write(*state, "/etc/selinux/config", "SELINUX=enforcing\n");

	if (bring(&old, false, &err) < 0)
		fail_msg("%s", err.text);

	assert_true(is_whole(MACHINE_OLD));
	end();
}

/* After the failure, and after one more run where that one left something to finish. */
static void assert_old_or_new(const struct sysroot *sysroot, bool with_old,
			      unsigned number, const struct error *err)
{
	struct error again = ERROR_INIT;
	bool undecided = false;

	if (err->code == ERROR_NONE) {
		assert_true(is_whole(MACHINE_NEW));
		return;
	}
	/* All of it is in place; the old module goes with the reboot that is asked for.
	 */
	if (err->code == ERROR_REBOOT) {
		assert_string_equal(machine_module(&scene.machine), MACHINE_NEW);
		assert_string_equal(scene.state.driver.version, MACHINE_NEW);
		assert_string_equal(scene.state.installing.version, "");
		return;
	}
	if (with_old && is_whole(MACHINE_OLD))
		return;
	scene.machine.fail_at = 0;
	end();
	undecided = bring_again(sysroot, &again) < 0;
	if (!undecided && (is_whole(MACHINE_NEW) || is_whole(MACHINE_OLD)))
		return;
	if (!with_old) /* the next match decides anew; nothing is claimed to be there */
		assert_string_equal(scene.state.driver.version, "");
	else
		fail_msg(
			"command %u (%s): neither old nor new: user space %s, module %s, "
			"loaded %s, state %s, installing %s; %s",
			number, scene.machine.failed, machine_user_space(&scene.machine),
			machine_module(&scene.machine), machine_loaded(&scene.machine),
			scene.state.driver.version, scene.state.installing.version,
			again.text);
}

struct row {
	enum package_kind kind;
	bool with_old;
	enum machine_fault fault;
};

static void each_command_fails_once(const struct sysroot *sysroot, const struct row *row)
{
	const struct driver new = driver_of(MACHINE_NEW, row->kind);
	bool indexed = false;

	for (unsigned number = 1; number < COMMANDS_MAX; number++) {
		struct error err = ERROR_INIT;
		int result;

		make_guest(sysroot, row->kind, row->with_old);
		scene.machine.fail_at = number;
		scene.machine.fault = row->fault;
		result = bring(&new, false, &err);
		if (scene.machine.count < number) {
			assert_int_equal(result, 0);
			assert_true(is_whole(MACHINE_NEW));
			assert_true(number > 3);
			assert_true(indexed); /* not by a package's scripts alone */
			end();
			empty(sysroot);
			return;
		}
		indexed |= strstr(scene.machine.failed, "depmod") != NULL;
		if (result == 0)
			err = ERROR_INIT;
		assert_old_or_new(sysroot, row->with_old, number, &err);
		end();
		empty(sysroot);
	}
	fail_msg("it has no end");
}

static void whatever_fails_the_driver_is_the_old_or_the_new_one(void **state)
{
	static const struct row rows[] = {
		{ PACKAGE_RUN, true, MACHINE_FAILS },
		{ PACKAGE_RUN, true, MACHINE_HALF },
		{ PACKAGE_RUN, true, MACHINE_CUT_OFF },
		{ PACKAGE_RUN, false, MACHINE_FAILS },
		{ PACKAGE_RUN, false, MACHINE_CUT_OFF },
		{ PACKAGE_DEB, true, MACHINE_FAILS },
		{ PACKAGE_DEB, true, MACHINE_HALF },
		{ PACKAGE_DEB, true, MACHINE_CUT_OFF },
		{ PACKAGE_DEB, false, MACHINE_FAILS },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++)
		each_command_fails_once(*state, &rows[i]);
}

/* The cache is emptied when a driver works. */
static void bring_once_more(const struct sysroot *sysroot, const struct driver *driver,
			    struct error *err)
{
	struct stat st;

	if (!root_stat(&sysroot->root, DOWNLOADS, &st))
		sysroot_mkdir(sysroot, DOWNLOADS);
	machine_add_package(&scene.machine, driver->path, driver->version);
	*err = ERROR_INIT;
	(void)!bring(driver, false, err);
}

/* What its manager says of it is not asked. */
static void a_package_is_installed_when_what_it_brings_is_there(void **state)
{
	const struct driver driver = driver_of(MACHINE_NEW, PACKAGE_DEB);
	const struct sysroot *sysroot = *state;
	struct error err;

	make_guest(sysroot, PACKAGE_DEB, false);
	scene.machine.scripts_fail = true;
	bring_once_more(sysroot, &driver, &err);
	assert_int_equal(err.code, ERROR_INSTALL);
	assert_non_null(strstr(err.text, "Bad return status for module build: %post"));
	assert_true(scene.state.installing_failed);

	/* Its version is installed by now: who does not insist gets "Nothing to do". */
	scene.machine.scripts_fail = false;
	bring_once_more(sysroot, &driver, &err);
	assert_int_equal(err.code, ERROR_NONE);
	assert_true(is_whole(MACHINE_NEW));

	/* A new kernel, or somebody's hand. */
	root_discard(&sysroot->root, MACHINE_PACKAGE_MODULE);
	bring_once_more(sysroot, &driver, &err);
	assert_int_equal(err.code, ERROR_NONE);
	assert_true(is_whole(MACHINE_NEW));

	root_discard(&sysroot->root, PATHS_SMI);
	bring_once_more(sysroot, &driver, &err);
	assert_int_equal(err.code, ERROR_NONE);
	assert_true(is_whole(MACHINE_NEW));
	end();
}

static void the_way_back_has_the_flavour_that_worked(void **state)
{
	const struct driver new = driver_of(MACHINE_NEW, PACKAGE_RUN);
	struct error err = ERROR_INIT;

	make_guest(*state, PACKAGE_RUN, true);
	(void)strcpy(scene.stage.ctx.settings.driver.kernel_module, "open");
	scene.machine.broken = 1;

	assert_int_equal(bring(&new, false, &err), -1);

	assert_non_null(strstr(err.hint, MACHINE_OLD " was put back and works"));
	assert_true(is_whole(MACHINE_OLD));
	assert_string_equal(machine_flavour(&scene.machine), "kernel");
	end();
}

/* Looks on while the machine works, and makes the new driver's installer fail. */
struct witness {
	struct runner runner;
	const struct sysroot *sysroot;
	bool fails;      /* before its modules are put in place */
	unsigned failed; /* so often */
	unsigned compiled;
	bool package, tree; /* of the failed one are there when the old one is unpacked */
};

static int look_on(struct runner *runner, const struct root *root, const struct run *run,
		   struct run_result *ret_result, struct error *err)
{
	struct witness *witness = (struct witness *)runner;
	const char *program = strrchr(run->argv[0], '/') + 1;

	if (strcmp(program, "sh") == 0 && witness->failed) {
		witness->package = is_there(witness->sysroot,
					    PATHS_BACKUP "/driver-" MACHINE_NEW ".run");
		witness->tree = is_there(witness->sysroot, PATHS_TREE);
	}
	if (strcmp(program, "make") == 0 && strcmp(run->argv[1], "-C") == 0)
		witness->compiled += witness->failed;
	if (strcmp(program, "nvidia-installer") == 0 &&
	    strcmp(run->argv[1], "--silent") == 0 && witness->failed == 0) {
		witness->failed++;
		if (witness->fails) {
			*ret_result =
				(struct run_result){ .status = 1, .output = strdup("") };
			return 0;
		}
	}
	return scene.machine.runner.start(&scene.machine.runner, root, run, ret_result,
					  err);
}

/* The failed one is 330 MiB, and its tree a GiB: the way back may need that room. */
static void the_way_back_comes_once_the_failed_one_has_gone(void **state)
{
	static const struct {
		bool fails;        /* its installer; else the driver answers nothing */
		unsigned compiled; /* the old modules, which are still there or not */
	} rows[] = { { true, 0 }, { false, 1 } };
	const struct driver new = driver_of(MACHINE_NEW, PACKAGE_RUN);

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		struct witness witness = { .runner = { .start = look_on,
						       .cancel_fd = -1 },
					   .sysroot = *state,
					   .fails = rows[i].fails };
		struct error err = ERROR_INIT;

		empty(*state);
		make_guest(*state, PACKAGE_RUN, true);
		scene.machine.broken = 1;
		scene.stage.ctx.runner = &witness.runner;

		assert_int_equal(bring(&new, false, &err), -1);

		assert_non_null(strstr(err.hint, MACHINE_OLD " was put back and works"));
		assert_true(is_whole(MACHINE_OLD));
		assert_int_equal(witness.failed, 1);
		assert_false(witness.package || witness.tree);
		assert_int_equal(witness.compiled > 0, rows[i].compiled > 0);
		end();
	}
}

/* The state could not be written: nothing was tried, so nothing has failed. */
static void a_change_that_could_not_be_noted_is_none(void **state)
{
	const struct driver new = driver_of(MACHINE_NEW, PACKAGE_RUN);
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	make_guest(sysroot, PACKAGE_RUN, false);
	sysroot_write(sysroot, PATHS_BACKUP, "in the way");

	assert_int_equal(bring(&new, false, &err), -1);

	assert_string_equal(scene.state.installing.version, "");
	assert_false(scene.state.installing_failed);
	assert_string_equal(machine_user_space(&scene.machine), "");
	root_discard(&sysroot->root, PATHS_BACKUP);
	err = ERROR_INIT;
	if (bring(&new, false, &err) < 0)
		fail_msg("%s", err.text);
	assert_true(is_whole(MACHINE_NEW));
	end();
}

/* Cut off once the state names it no longer: what is left the next run takes away. */
static void a_package_that_nobody_names_goes(void **state)
{
	const struct replace replace = replace_of();
	struct outcome outcome = { .step = "install" };
	const struct sysroot *sysroot = *state;
	struct error err = ERROR_INIT;

	make_guest(sysroot, PACKAGE_RUN, true);
	machine_add_package(&scene.machine, PATHS_BACKUP "/driver-1.2.run", "1.2");
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.match.rule = MATCH_INSTALLED;
	(void)strcpy(scene.work.driver.version, MACHINE_OLD);
	scene.work.targets[0].done = true;

	assert_int_equal(replace_driver(&replace, &scene.work, &outcome, &err), 0);

	assert_false(is_there(sysroot, PATHS_BACKUP "/driver-1.2.run"));
	assert_true(is_there(sysroot, PATHS_BACKUP "/driver-" MACHINE_OLD ".run"));
	end();
}

static void a_driver_that_stays_gets_only_what_is_missing(void **state)
{
	const struct replace replace = replace_of();
	struct outcome outcome = { .step = "install" };
	struct error err = ERROR_INIT;

	make_guest(*state, PACKAGE_RUN, true);
	work_begin(&scene.stage.ctx, &scene.guest, &scene.work);
	scene.work.match.rule = MATCH_INSTALLED;
	(void)strcpy(scene.work.driver.version, MACHINE_OLD);
	scene.work.targets[0].done = true;

	assert_int_equal(replace_driver(&replace, &scene.work, &outcome, &err), 0);

	assert_int_equal(outcome.kind, OUTCOME_UNCHANGED);
	assert_string_equal(outcome.detail, "driver " MACHINE_OLD " is loaded");
	assert_false(scene.lease.loaded);
	end();
}

static void in_an_image_nothing_is_loaded_and_no_way_back_is_kept(void **state)
{
	const struct driver new = driver_of(MACHINE_NEW, PACKAGE_RUN);
	struct error err = ERROR_INIT;

	make_guest(*state, PACKAGE_RUN, false);
	scene.stage.ctx.offline = true;

	if (bring(&new, false, &err) < 0)
		fail_msg("%s", err.text);

	assert_string_equal(machine_user_space(&scene.machine), MACHINE_NEW);
	assert_string_equal(machine_loaded(&scene.machine), "");
	assert_string_equal(scene.state.driver.version, MACHINE_NEW);
	assert_string_equal(scene.state.driver.path, "");
	end();
}

/* The packages that are kept are those that the state names, and no others. */
static void assert_kept(const struct sysroot *sysroot, const char *const *expected)
{
	cleanup_strv char **names = NULL;
	struct error err = ERROR_INIT;
	size_t packages = 0, count = 0;

	assert_int_equal(root_list(&sysroot->root, PATHS_BACKUP, 100, &names, &err), 0);
	for (char **name = names; *name; name++)
		packages += strncmp(*name, "driver-", 7) == 0;
	for (; expected[count]; count++) {
		char path[256];
		struct stat st;

		(void)snprintf(path, sizeof(path), PATHS_BACKUP "/driver-%s",
			       expected[count]);
		if (!root_stat(&sysroot->root, path, &st))
			fail_msg("%s is gone", path);
	}
	assert_int_equal(packages, count);
}

/* A guest that went from the old driver to the new one: the old one is kept. */
static void make_updated_guest(const struct sysroot *sysroot, enum package_kind kind)
{
	const struct driver new = driver_of(MACHINE_NEW, kind);
	struct error err = ERROR_INIT;

	make_guest(sysroot, kind, true);
	if (bring(&new, false, &err) < 0)
		fail_msg("%s", err.text);
	end();
	begin(sysroot);
	scene.machine.count = 0;
}

/* What the step match decides for install --previous. */
static int bring_previous(struct error *err)
{
	const struct driver previous = scene.state.previous;

	return bring(&previous, false, err);
}

static void the_driver_before_comes_back_and_the_next_time_the_other_one(void **state)
{
	static const char *const kept[] = { MACHINE_OLD ".run", MACHINE_NEW ".run",
					    NULL };
	static const char *const order[] = { MACHINE_OLD, MACHINE_NEW, MACHINE_OLD };

	make_updated_guest(*state, PACKAGE_RUN);
	for (size_t i = 0; i < ARRAY_SIZE(order); i++) {
		struct error err = ERROR_INIT;

		assert_kept(*state, kept);
		assert_string_equal(scene.state.previous.version, order[i]);
		if (bring_previous(&err) < 0)
			fail_msg("%s", err.text);
		assert_true(is_whole(order[i]));
		end();
		begin(*state);
	}
	assert_kept(*state, kept);
	end();
}

#define THIRD "550.144.03"

static int bring_package(const struct sysroot *sysroot, const char *version,
			 struct error *err)
{
	const struct driver driver = driver_of(version, PACKAGE_RUN);

	struct stat st;

	end();
	begin(sysroot);
	if (!root_stat(&sysroot->root, DOWNLOADS, &st))
		sysroot_mkdir(sysroot, DOWNLOADS);
	machine_add_package(&scene.machine, driver.path, version);
	return bring(&driver, false, err);
}

/* Of three drivers the last two; the same one once more is no other one before. */
static void only_one_driver_before_is_kept(void **state)
{
	static const char *const kept[] = { MACHINE_NEW ".run", THIRD ".run", NULL };

	make_updated_guest(*state, PACKAGE_RUN);
	for (unsigned i = 0; i < 2; i++) {
		struct error err = ERROR_INIT;

		if (bring_package(*state, THIRD, &err) < 0)
			fail_msg("%s", err.text);
		assert_string_equal(scene.state.previous.version, MACHINE_NEW);
		assert_kept(*state, kept);
	}
	end();
}

static void an_update_that_fails_costs_no_driver_before(void **state)
{
	static const char *const kept[] = { MACHINE_OLD ".run", THIRD ".run", NULL };
	struct error err = ERROR_INIT;

	make_guest(*state, PACKAGE_RUN, true);
	if (bring_package(*state, THIRD, &err) < 0)
		fail_msg("%s", err.text);
	scene.machine.broken = 1;
	assert_int_equal(bring_package(*state, MACHINE_NEW, &err), -1);

	assert_true(is_whole(THIRD));
	assert_string_equal(scene.state.previous.version, MACHINE_OLD);
	assert_kept(*state, kept);
	end();
}

/* One that does not work any more stays the one before. */
static void a_way_back_that_fails_ends_where_it_began(void **state)
{
	static const char *const kept[] = { MACHINE_OLD ".run", MACHINE_NEW ".run",
					    NULL };
	struct error err = ERROR_INIT;

	make_updated_guest(*state, PACKAGE_RUN);
	if (bring_previous(&err) < 0)
		fail_msg("%s", err.text);
	scene.machine.broken = 1;
	end();
	begin(*state);
	assert_int_equal(bring_previous(&err), -1);

	assert_true(is_whole(MACHINE_OLD));
	assert_string_equal(scene.state.previous.version, MACHINE_NEW);
	assert_kept(*state, kept);
	end();
}

/* Failed, half done, cut off: what is there is whole, and both packages still are. */
static void whatever_fails_on_the_way_to_the_driver_before_both_are_kept(void **state)
{
	static const struct row rows[] = { { PACKAGE_RUN, true, MACHINE_FAILS },
					   { PACKAGE_RUN, true, MACHINE_HALF },
					   { PACKAGE_RUN, true, MACHINE_CUT_OFF },
					   { PACKAGE_DEB, true, MACHINE_CUT_OFF } };

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *kind = package_kind_name(rows[i].kind);
		char names[2][64];
		const char *const kept[] = { names[0], names[1], NULL };
		bool failed = true;

		(void)snprintf(names[0], sizeof(names[0]), MACHINE_OLD ".%s", kind);
		(void)snprintf(names[1], sizeof(names[1]), MACHINE_NEW ".%s", kind);
		for (unsigned number = 1; failed; number++) {
			struct error err = ERROR_INIT, again = ERROR_INIT;

			assert_true(number < COMMANDS_MAX);
			make_updated_guest(*state, rows[i].kind);
			scene.machine.fail_at = number;
			scene.machine.fault = rows[i].fault;
			failed = bring_previous(&err) < 0 ||
				 scene.machine.count >= number;
			scene.machine.fail_at = 0;
			end();
			if (bring_again(*state, &again) < 0)
				fail_msg("command %u: %s", number, again.text);
			if (err.code != ERROR_REBOOT && !is_whole(MACHINE_OLD) &&
			    !is_whole(MACHINE_NEW))
				fail_msg("command %u (%s): %s", number,
					 scene.machine.failed, err.text);
			assert_kept(*state, kept);
			assert_string_not_equal(scene.state.previous.version,
						scene.state.driver.version);
			end();
			empty(*state);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			where_selinux_is_on_labels_come_before_the_load, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_driver_is_put_in_place_and_proved,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			whatever_fails_the_driver_is_the_old_or_the_new_one,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_package_is_installed_when_what_it_brings_is_there,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(the_way_back_has_the_flavour_that_worked,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			the_way_back_comes_once_the_failed_one_has_gone, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_change_that_could_not_be_noted_is_none,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_package_that_nobody_names_goes,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			a_driver_that_stays_gets_only_what_is_missing, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			in_an_image_nothing_is_loaded_and_no_way_back_is_kept,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			the_driver_before_comes_back_and_the_next_time_the_other_one,
			sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(only_one_driver_before_is_kept,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			an_update_that_fails_costs_no_driver_before, sysroot_setup,
			sysroot_teardown),
		cmocka_unit_test_setup_teardown(a_way_back_that_fails_ends_where_it_began,
						sysroot_setup, sysroot_teardown),
		cmocka_unit_test_setup_teardown(
			whatever_fails_on_the_way_to_the_driver_before_both_are_kept,
			sysroot_setup, sysroot_teardown),
	};

	return cmocka_run_group_tests_name("replace", tests, NULL, NULL);
}
