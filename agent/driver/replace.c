/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/replace.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/manager.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/modules.h"
#include "model/paths.h"
#include "steps/build/build.h"
#include "steps/build/build_tree.h"
#include "steps/depmod.h"
#include "steps/install/install.h"
#include "steps/install/remove.h"
#include "steps/labels.h"
#include "steps/license/announce.h"
#include "steps/license/poll.h"

#define ANSWER_WAIT_S 60
#define ANSWER_PAUSE_S 1
#define ANSWER_LAST_S 10 /* of the last look: it only asks whether all is well by now */

/* An installed driver is about three times its compressed package; and room to move. */
#define ROOM_FACTOR 4
#define NAMES_MAX 1000

static void warn(const struct error *err)
{
	log_line(LOG_LEVEL_WARNING, "warning: install: %s", err->text);
}

/* The module is loaded and nvidia-smi answers: the proof that it works. */
static int prove(const struct context *ctx, struct lease *lease, struct error *err)
{
	double end = clock_monotonic() + ANSWER_WAIT_S;
	bool last = false;

	/* The last look comes after the end: the guest may have been paused before it. */
	while (poll_smi(ctx->runner, &ctx->root, last ? ANSWER_LAST_S : ANSWER_WAIT_S,
			&lease->report, err) < 0) {
		if (err->interrupted || last)
			return -1;
		last = clock_monotonic() >= end;
		if (clock_sleep(ANSWER_PAUSE_S, ctx->runner->cancel_fd, err) < 0)
			return -1;
	}
	return 0;
}

/* What inherited its label has mostly the right one: the load tells what has not. */
static int label(const struct context *ctx, struct error *err)
{
	struct error why = ERROR_INIT;

	if (labels_restore(ctx->runner, &ctx->root, &why) == 0)
		return 0;
	if (why.interrupted) {
		*err = why;
		return -1;
	}
	warn(&why);
	return 0;
}

/*
 * Loads the modules, and nvidia-smi answers; nothing offline. What was written before has
 * its labels first: a driver that SELinux does not know is neither loaded nor started.
 */
static int load_and_prove(const struct replace *replace, const struct work *work,
			  bool written, bool *ret_changed, struct error *err)
{
	const struct context *ctx = replace->ctx;

	*ret_changed = false;
	if (ctx->offline)
		return 0;
	if (written && label(ctx, err) < 0)
		return -1;
	if (install_load(ctx->runner, &ctx->root, work->driver.version, ret_changed,
			 err) < 0)
		return -1;
	replace->lease->loaded |= *ret_changed;
	return prove(ctx, replace->lease, err);
}

/* Also where nothing had to be built: nvidia-installer may have undone a registration. */
static int put_modules_by_dkms(const struct context *ctx, const struct work *work,
			       bool *changed, struct error *err)
{
	bool ours = build_tree_is_ours(&ctx->root, work->driver.version);

	for (size_t i = 0; i < work->target_count; i++) {
		const struct target *target = &work->targets[i];
		const struct install_dkms input = { .version = work->driver.version,
						    .release = target->kernel.release,
						    .log_fd = ctx->tools->log_fd };
		bool one = false;

		if (target->done && (!ours || work_keeps_installed(work)))
			continue;
		if (install_dkms(ctx->runner, &ctx->root, &input, &one, err) < 0)
			return -1;
		*changed |= one;
	}
	return 0;
}

/* Two modules of one name cannot be told apart: DKMS's go first, their sources last. */
static int leave_dkms(const struct context *ctx, const struct work *work, bool *changed,
		      struct error *err)
{
	const struct driver *driver = &work->driver;

	if (build_tree_is_ours(&ctx->root, driver->version) && !work->whole &&
	    build_tree_keep(ctx->runner, &ctx->root, work->tree, driver->version,
			    driver->open, err) < 0)
		return -1;
	return remove_dkms(ctx->runner, &ctx->root, "", ctx->tools->log_fd, changed, err);
}

/* Only the modules that were built, for the targets that lacked them. */
static int put_modules(const struct context *ctx, const struct work *work, bool *changed,
		       struct error *err)
{
	if (work_by_dkms(work))
		return put_modules_by_dkms(ctx, work, changed, err);
	if (leave_dkms(ctx, work, changed, err) < 0)
		return -1;
	for (size_t i = 0; i < work->target_count; i++) {
		const struct target *target = &work->targets[i];
		bool one = false;

		if (target->built.count == 0)
			continue;
		if (install_modules(ctx->runner, &ctx->root, &target->kernel,
				    &target->built, &one, err) < 0)
			return -1;
		*changed |= one;
	}
	return 0;
}

/* With the modules in place: nothing of before in an initramfs; what stays is a warning.
 */
static int look_into_initramfs(const struct context *ctx, struct error *err)
{
	struct install_initramfs result;

	if (install_initramfs(ctx->runner, &ctx->root, ctx->tools->log_fd, &result, err) <
	    0)
		return -1;
	if (result.warning[0])
		log_line(LOG_LEVEL_WARNING, "warning: install: %s", result.warning);
	return 0;
}

/*
 * Once the driver works: removes the agent's other versions from DKMS, and the agent's
 * own copy of this driver's sources if DKMS keeps one.
 */
static int tidy_sources(const struct context *ctx, const struct work *work, bool *changed,
			struct error *err)
{
	const char *version = work->driver.version;
	bool by_dkms = work_by_dkms(work), sources = false, old = false;

	if (remove_dkms(ctx->runner, &ctx->root, by_dkms ? version : "",
			ctx->tools->log_fd, &old, err) < 0)
		return -1;
	if (by_dkms && build_tree_is_ours(&ctx->root, version) &&
	    remove_sources(&ctx->root, &sources, err) < 0)
		return -1;
	*changed |= old || sources;
	return 0;
}

/* The package goes where a cleaned cache cannot take it, for as long as it is needed. */
static int keep_package(const struct root *root, struct driver *driver, struct error *err)
{
	char kept[sizeof(driver->path)];

	if (!text_format(kept, sizeof(kept), PATHS_BACKUP "/driver-%s.%s",
			 driver->version, package_kind_name(driver->kind)))
		return error_set_errno(err, ENAMETOOLONG, "keeping %s", driver->path);
	if (strcmp(kept, driver->path) == 0 || !driver->path[0])
		return 0;
	if (root_mkdir(root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(root, PATHS_BACKUP, 0700, err) < 0)
		return -1;
	if (root_rename(root, driver->path, kept, err) < 0 &&
	    (err->errnum != EXDEV || file_copy(root, driver->path, kept, err) < 0))
		return -1;
	memcpy(driver->path, kept, sizeof(kept));
	return 0;
}

static int is_kept(const struct root *root, const struct driver *driver, bool *ret_kept,
		   struct error *err)
{
	*ret_kept = false;
	return driver->path[0] ? root_exists(root, driver->path, ret_kept, err) : 0;
}

/* Whether a package is one that the state names. */
static bool is_named(const struct state *state, const char *path)
{
	return strcmp(state->driver.path, path) == 0 ||
	       strcmp(state->installing.path, path) == 0 ||
	       strcmp(state->previous.path, path) == 0;
}

/* Once the state is saved: what it named before and names no longer is not needed. */
static int drop_package(const struct root *root, const struct state *state,
			const struct driver *driver, struct error *err)
{
	if (!driver->path[0] || is_named(state, driver->path))
		return 0;
	return root_unlink(root, driver->path, err);
}

/* Both packages are where they stay, and the state on the disk says what is coming. */
static int note_coming(const struct replace *replace, struct work *work,
		       struct error *err)
{
	const struct root *root = &replace->ctx->root;
	struct state *state = replace->state;
	bool kept;

	if (is_kept(root, &state->driver, &kept, err) < 0 ||
	    (kept && keep_package(root, &state->driver, err) < 0) ||
	    keep_package(root, &work->driver, err) < 0)
		return -1;
	state->installing = work->driver;
	state->installing_failed = false;
	/* The same version again: its kept file is now this one. */
	if (strcmp(state->installing.path, state->previous.path) == 0)
		state->previous = state->installing;
	return state_save(root, state, err);
}

/* From here on the old driver may be gone at any moment: the state says so first. */
static int begin_change(const struct replace *replace, struct work *work,
			struct error *err)
{
	const struct root *root = &replace->ctx->root;
	struct state *state = replace->state;
	struct driver given_up = state->installing;
	bool had_failed = state->installing_failed;

	/* Taken up again, or on the way back: it is said already. */
	if (work->way_back || strcmp(state->installing.path, work->driver.path) == 0)
		return 0;

	if (note_coming(replace, work, err) < 0) {
		/* Nothing was changed, and nothing was tried. */
		state->installing = given_up;
		state->installing_failed = had_failed;
		return -1;
	}
	return drop_package(root, state, &given_up, err);
}

/* What the state names once the change is done. */
static void note_change(const struct context *ctx, const struct work *work,
			struct state *state)
{
	if (!work->way_back) {
		if (strcmp(state->driver.path, state->installing.path) != 0)
			state->previous = state->driver;
		state->driver = state->installing;
	}
	/* An image needs no way back: its guests have the repository. */
	if (ctx->offline) {
		state->driver.path[0] = '\0';
		state->previous = DRIVER_NONE;
	}
	state->installing = DRIVER_NONE;
	state->installing_failed = false;
}

/*
 * The new driver is the driver, and the one before is kept. The state says so before the
 * package that is no longer needed goes: cut off in between, a file too many is left,
 * never one too few.
 */
static int end_change(const struct replace *replace, const struct work *work,
		      struct error *err)
{
	const struct context *ctx = replace->ctx;
	struct state *state = replace->state;
	const struct driver before[] = { state->driver, state->installing,
					 state->previous };
	bool changed = false;

	note_change(ctx, work, state);
	if (state_save(&ctx->root, state, err) < 0)
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(before); i++) {
		if (drop_package(&ctx->root, state, &before[i], err) < 0)
			return -1;
	}
	if (tidy_sources(ctx, work, &changed, err) < 0)
		return -1;
	return fetch_prune(&ctx->root, NULL, err);
}

static int change_by_run(const struct context *ctx, const struct work *work,
			 struct error *err)
{
	const struct driver *driver = &work->driver;
	bool changed = false;

	if (install_userspace(ctx->runner, &ctx->root, work->tree, ctx->tools->log_path,
			      ctx->tools->log_fd, err) < 0 ||
	    put_modules(ctx, work, &changed, err) < 0)
		return -1;
	if (work_by_dkms(work))
		return 0;
	return build_tree_keep(ctx->runner, &ctx->root, work->tree, driver->version,
			       driver->open, err);
}

/*
 * What the package brings and what its scripts make: tools, and modules of each target.
 * Whether the kernel takes these is no matter of the package's: the load tells.
 */
static int is_whole(const struct context *ctx, struct work *work, bool *ret_whole,
		    struct error *err)
{
	bool whole;

	if (root_exists(&ctx->root, PATHS_SMI, &whole, err) < 0 ||
	    work_look_at_targets(ctx, NULL, work->driver.version, work, err) < 0)
		return -1;
	for (size_t i = 0; i < work->target_count; i++)
		whole &= work->targets[i].done || work->targets[i].refused;
	*ret_whole = whole;
	return 0;
}

/* Whatever ran depmod for the package's scripts has not looked whether it was whole. */
static int index_modules(const struct context *ctx, const struct work *work,
			 struct error *err)
{
	for (size_t i = 0; i < work->target_count; i++) {
		const char *release = work->targets[i].kernel.release;

		if (work->targets[i].done &&
		    (depmod_owe(&ctx->root, release, err) < 0 ||
		     depmod_run(ctx->runner, &ctx->root, release, err) < 0))
			return -1;
	}
	return 0;
}

/*
 * Once more where the package manager had nothing to do, since this version is installed,
 * whole or not: a new kernel, or scripts that failed before.
 */
static int change_by_package(const struct context *ctx, struct work *work,
			     struct error *err)
{
	char script[MANAGER_WORDS_MAX] = "";
	struct install_package input = { .kind = work->driver.kind,
					 .path = work->driver.path,
					 .script = script,
					 .log_fd = ctx->tools->log_fd };
	bool whole = false;

	for (int turn = 0; turn < 2 && !whole && !script[0]; turn++) {
		input.again = turn > 0;
		if (install_package(ctx->runner, &ctx->root, &input, err) < 0 ||
		    is_whole(ctx, work, &whole, err) < 0)
			return -1;
	}
	if (whole)
		return index_modules(ctx, work, err);
	(void)error_set(err, ERROR_INSTALL,
			"the package of driver %s is installed and has left no modules "
			"for this kernel: %s",
			work->driver.version,
			script[0] ? script : "its scripts said nothing of it");
	return error_hint(err, "what its scripts said is in %s", ctx->tools->log_path);
}

static int change(const struct replace *replace, struct work *work, struct error *err)
{
	const struct context *ctx = replace->ctx;
	const struct driver *driver = &work->driver;
	bool changed = false;

	if (install_blacklist(&ctx->root, &changed, err) < 0)
		return -1;
	if (driver->kind == PACKAGE_RUN ? change_by_run(ctx, work, err) < 0
					: change_by_package(ctx, work, err) < 0)
		return -1;
	if (look_into_initramfs(ctx, err) < 0 ||
	    install_gridd_unit(&ctx->root, &changed, err) < 0)
		return -1;
	replace->lease->units_changed = true;
	return load_and_prove(replace, work, true, &changed, err);
}

/*
 * What the failed one occupies goes first: the way back may need that room. Its package
 * is not tried again by itself; that of the driver before stays, for another try.
 */
static int make_room(const struct replace *replace, const struct work *failed,
		     const struct driver *old, struct error *err)
{
	const struct context *ctx = replace->ctx;

	if (root_remove_tree(&ctx->root, PATHS_TREE, err) < 0 ||
	    root_remove_tree(&ctx->root, PATHS_BUILD, err) < 0)
		return -1;
	if (strcmp(failed->driver.path, old->path) == 0 ||
	    strcmp(failed->driver.path, replace->state->previous.path) == 0 ||
	    !text_starts(failed->driver.path, PATHS_BACKUP "/"))
		return 0;
	return root_unlink(&ctx->root, failed->driver.path, err);
}

/* The driver before again, from its own package, with its own modules. */
static int put_back(const struct replace *replace, struct work *back, struct error *err)
{
	const struct context *ctx = replace->ctx;
	struct outcome ignored = { .step = "build" };

	if (back->driver.kind == PACKAGE_RUN &&
	    (modules_unpack(ctx, back, err) < 0 ||
	     modules_build(ctx, replace->state, replace->repository, back, &ignored,
			   err) < 0))
		return -1;
	if (change(replace, back, err) < 0)
		return -1;
	return end_change(replace, back, err);
}

/* What is only missing may come: room, headers, a network. */
static bool is_final(enum error_code code)
{
	return code == ERROR_BUILD || code == ERROR_INTEGRITY || code == ERROR_INSTALL ||
	       code == ERROR_DRIVER;
}

static void forget_dkms(const struct replace *replace, const struct work *work)
{
	const struct context *ctx = replace->ctx;
	const char *works = replace->state->driver.version;
	struct error ignored = ERROR_INIT;
	bool changed = false;

	if (work_by_dkms(work) && strcmp(work->driver.version, works) != 0 &&
	    remove_dkms(ctx->runner, &ctx->root, works, ctx->tools->log_fd, &changed,
			&ignored) < 0)
		warn(&ignored);
}

void replace_abandon(const struct replace *replace, const struct work *work,
		     const struct error *error)
{
	struct state *state = replace->state;
	struct error err = ERROR_INIT;

	if (error->interrupted)
		return;
	forget_dkms(replace, work);
	if (!is_final(error->code))
		return;
	if (work->way_back)
		state->driver.path[0] = '\0'; /* the file stays, for --driver */
	else if (work->driver.path[0] &&
		 strcmp(work->driver.path, state->installing.path) == 0)
		state->installing_failed = true;
	else
		return;
	if (state_save(&replace->ctx->root, state, &err) < 0)
		warn(&err);
}

/* The change failed: the state remembers, and where an old driver is kept it comes back
 * now. */
static int give_up(const struct replace *replace, struct work *work, struct error *err)
{
	const struct context *ctx = replace->ctx;
	const struct root *root = &ctx->root;
	struct state *state = replace->state;
	struct error second = ERROR_INIT;
	struct work back;
	bool kept;

	/* The package manager that is at work is waited for, and this begins anew. */
	if (err->interrupted || manager_was_locked(err))
		return -1;
	if (err->code == ERROR_REBOOT) {
		/* It is whole; what is missing is the load that a reboot brings. */
		if (end_change(replace, work, &second) < 0)
			warn(&second);
		return -1;
	}
	if (work->way_back) {
		replace_abandon(replace, work, err);
		return -1;
	}

	state->installing_failed = true;
	if (state_save(root, state, &second) < 0 ||
	    is_kept(root, &state->driver, &kept, &second) < 0 || !kept)
		return -1;

	work_back(work, &state->driver, &back);
	log_line(LOG_LEVEL_WARNING, "warning: install: %s; putting driver %s back",
		 err->text, back.driver.version);
	/* The modules are often there still; of one version they may be either's. */
	if (make_room(replace, work, &back.driver, &second) < 0 ||
	    (strcmp(work->driver.version, back.driver.version) != 0 &&
	     work_look_at_targets(ctx, NULL, back.driver.version, &back, &second) < 0) ||
	    put_back(replace, &back, &second) < 0)
		return error_hint(err,
				  "driver %s could not be put back either (%s); run "
				  "again to try once more",
				  back.driver.version, second.text);
	return error_hint(err, "driver %s was put back and works", back.driver.version);
}

/*
 * For the way there and for the way back, before the first change. What the failed one
 * occupies goes before the way back: so the greater of both is enough.
 */
static int check_room(const struct context *ctx, const struct driver *new,
		      const struct driver *old, struct error *err)
{
	const struct driver *const drivers[] = { new, old };
	off_t most = 0;

	for (size_t i = 0; i < ARRAY_SIZE(drivers); i++) {
		struct stat st = { .st_size = 0 };
		bool there = false;

		if (drivers[i]->path[0] &&
		    root_look(&ctx->root, drivers[i]->path, &there, &st, err) < 0)
			return -1;
		if (there && st.st_size > most)
			most = st.st_size;
	}
	return install_check_room(&ctx->root, ROOM_FACTOR * (uint64_t)most, err);
}

static int replace_whole(const struct replace *replace, struct work *work,
			 struct outcome *outcome, struct error *err)
{
	const struct context *ctx = replace->ctx;

	if (choose_refuse_lost(ctx, replace->state, err) < 0 ||
	    check_room(ctx, &work->driver, &replace->state->driver, err) < 0 ||
	    context_log(ctx, err) < 0 || begin_change(replace, work, err) < 0)
		return -1;
	if (change(replace, work, err) < 0)
		return give_up(replace, work, err);
	if (end_change(replace, work, err) < 0)
		return -1;

	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "driver %s%s",
			  work->driver.version,
			  ctx->offline ? "" : " is loaded and answers");
	return 0;
}

/* A package that a run left which was cut off once the state no longer named it. */
static int sweep_packages(const struct context *ctx, const struct state *state,
			  struct error *err)
{
	cleanup_strv char **names = NULL;

	if (state->installing.version[0])
		return 0;
	if (root_list(&ctx->root, PATHS_BACKUP, NAMES_MAX, &names, err) < 0)
		return -1;
	for (char **name = names; *name; name++) {
		char path[sizeof(state->driver.path)];

		if (!text_starts(*name, "driver-") ||
		    !text_format(path, sizeof(path), PATHS_BACKUP "/%s", *name) ||
		    is_named(state, path))
			continue;
		if (root_unlink(&ctx->root, path, err) < 0)
			return -1;
	}
	return 0;
}

/* The driver stays: new kernels' modules, the unit, and it is loaded. */
static int complete_installed(const struct replace *replace, const struct work *work,
			      struct outcome *outcome, struct error *err)
{
	const struct context *ctx = replace->ctx;
	bool modules = false, unit = false, loaded = false;

	if (put_modules(ctx, work, &modules, err) < 0 ||
	    (modules && look_into_initramfs(ctx, err) < 0))
		return -1;
	if (work->guest->installed.grid && install_gridd_unit(&ctx->root, &unit, err) < 0)
		return -1;
	replace->lease->units_changed = unit;
	if (load_and_prove(replace, work, modules || unit, &loaded, err) < 0 ||
	    tidy_sources(ctx, work, &modules, err) < 0 ||
	    sweep_packages(ctx, replace->state, err) < 0)
		return -1;

	/* What was compiled is in place now. */
	if (modules && fetch_prune(&ctx->root, NULL, err) < 0)
		return -1;
	outcome->kind = modules || unit || loaded ? OUTCOME_CHANGED : OUTCOME_UNCHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "driver %s%s",
			  work->driver.version,
			  ctx->offline ? " is in place" : " is loaded");
	return 0;
}

int replace_driver(const struct replace *replace, struct work *work,
		   struct outcome *outcome, struct error *err)
{
	const struct context *ctx = replace->ctx;
	int result;

	if (depmod_make_up(ctx->runner, &ctx->root, err) < 0)
		return -1;
	/* The monitor lets go of the driver's library meanwhile. */
	if (!ctx->offline)
		announce_change(&ctx->root, true);
	result = work_keeps_installed(work)
			 ? complete_installed(replace, work, outcome, err)
			 : replace_whole(replace, work, outcome, err);
	if (!ctx->offline)
		announce_change(&ctx->root, false);
	return result;
}
