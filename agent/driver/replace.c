/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/replace.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/modules.h"
#include "model/paths.h"
#include "steps/build.h"
#include "steps/build_tree.h"
#include "steps/install.h"
#include "steps/poll.h"
#include "steps/remove.h"

#define ANSWER_WAIT_S 60
#define ANSWER_PAUSE_S 1

/* The module is loaded and nvidia-smi answers: the proof that it works. */
static int prove(struct agent *agent, struct error *err)
{
	double end = clock_monotonic() + ANSWER_WAIT_S;

	while (poll_smi(&agent->runner, &agent->root, ANSWER_WAIT_S, &agent->license,
			err) < 0) {
		if (err->interrupted || clock_monotonic() >= end)
			return -1;
		if (clock_sleep(ANSWER_PAUSE_S, agent->runner.cancel_fd, err) < 0)
			return -1;
	}
	return 0;
}

int replace_load(struct agent *agent, bool *ret_changed, struct error *err)
{
	if (agent->offline) {
		*ret_changed = false;
		return 0;
	}
	if (install_load(&agent->runner, &agent->root, agent->match.package.version,
			 ret_changed, err) < 0)
		return -1;
	agent->loaded |= *ret_changed;
	return prove(agent, err);
}

/* Also where nothing had to be built: nvidia-installer may have undone a registration. */
static int modules_by_dkms(struct agent *agent, bool *changed, struct error *err)
{
	bool ours = build_tree_is_ours(&agent->root, agent->match.package.version);

	for (size_t i = 0; i < agent->target_count; i++) {
		struct install_dkms input = { .version = agent->match.package.version,
					      .release = agent->targets[i].release,
					      .log_fd = agent->log_fd };
		bool one = false;

		if (agent->target_done[i] &&
		    (!ours || agent->match.rule == MATCH_INSTALLED))
			continue;
		if (install_dkms(&agent->runner, &agent->root, &input, &one, err) < 0)
			return -1;
		*changed |= one;
	}
	return 0;
}

/* Two modules of one name cannot be told apart: DKMS's go first, their sources last. */
static int leave_dkms(struct agent *agent, bool *changed, struct error *err)
{
	const char *version = agent->match.package.version;

	if (build_tree_is_ours(&agent->root, version) && !agent->tree_is_whole &&
	    build_tree_keep(&agent->runner, &agent->root, agent->tree, version,
			    agent->open_modules, err) < 0)
		return -1;
	return remove_dkms(&agent->runner, &agent->root, "", agent->log_fd, changed, err);
}

int replace_tidy(struct agent *agent, bool *changed, struct error *err)
{
	const char *version = agent->match.package.version;
	bool by_dkms = choose_dkms(agent), sources = false, old = false;

	if (remove_dkms(&agent->runner, &agent->root, by_dkms ? version : "",
			agent->log_fd, &old, err) < 0)
		return -1;
	if (by_dkms && build_tree_is_ours(&agent->root, version) &&
	    remove_sources(&agent->root, &sources, err) < 0)
		return -1;
	*changed |= old || sources;
	return 0;
}

int replace_modules(struct agent *agent, bool *changed, struct error *err)
{
	if (choose_dkms(agent))
		return modules_by_dkms(agent, changed, err);
	if (leave_dkms(agent, changed, err) < 0)
		return -1;
	for (size_t i = 0; i < agent->target_count; i++) {
		bool one = false;

		if (agent->built[i].count == 0)
			continue;
		if (install_modules(&agent->runner, &agent->root, &agent->targets[i],
				    &agent->built[i], &one, err) < 0)
			return -1;
		*changed |= one;
	}
	return 0;
}

/* The package goes where a cleaned cache cannot take it, for as long as it is needed. */
static int keep_package(struct agent *agent, struct state_driver *driver,
			struct error *err)
{
	char kept[sizeof(driver->path)];

	if (!text_format(kept, sizeof(kept), PATHS_BACKUP "/driver-%s.%s",
			 driver->version, package_kind_name(driver->kind)))
		return error_set_errno(err, ENAMETOOLONG, "keeping %s", driver->path);
	if (strcmp(kept, driver->path) == 0 || !driver->path[0])
		return 0;
	if (root_mkdir(&agent->root, PATHS_STATE, 0755, err) < 0 ||
	    root_mkdir(&agent->root, PATHS_BACKUP, 0700, err) < 0)
		return -1;
	if (root_rename(&agent->root, driver->path, kept, err) < 0 &&
	    (err->errnum != EXDEV ||
	     file_copy(&agent->root, driver->path, kept, err) < 0))
		return -1;
	memcpy(driver->path, kept, sizeof(kept));
	return 0;
}

static bool is_there(const struct agent *agent, const char *path)
{
	struct stat st;

	return path[0] && root_stat(&agent->root, path, &st);
}

/* From here on the old driver may be gone at any moment: the state says so first. */
static int begin_change(struct agent *agent, struct error *err)
{
	const struct package *package = &agent->match.package;
	struct state *state = &agent->state;
	struct state_driver given_up = state->installing;

	/* Taken up again, or on the way back: it is said already. */
	if (agent->putting_back ||
	    strcmp(state->installing.path, agent->package_path) == 0)
		return 0;

	state->installing = (struct state_driver){ .kind = package->kind,
						   .open = agent->open_modules };
	(void)text_copy(state->installing.version, sizeof(state->installing.version),
			package->version);
	(void)text_copy(state->installing.sha256, sizeof(state->installing.sha256),
			package->sha256);
	(void)text_copy(state->installing.path, sizeof(state->installing.path),
			agent->package_path);
	state->installing_failed = false;

	if (is_there(agent, state->driver.path) &&
	    keep_package(agent, &state->driver, err) < 0)
		return -1;
	if (keep_package(agent, &state->installing, err) < 0)
		return -1;
	(void)text_copy(agent->package_path, sizeof(agent->package_path),
			state->installing.path);
	if (state_save(&agent->root, state, err) < 0)
		return -1;
	if (!given_up.path[0] || strcmp(given_up.path, state->installing.path) == 0 ||
	    strcmp(given_up.path, state->driver.path) == 0)
		return 0;
	return root_unlink(&agent->root, given_up.path, err);
}

/*
 * The new driver is the driver. The state says so before the package that is no longer
 * needed goes: cut off in between, a file too many is left, never one too few.
 */
static int end_change(struct agent *agent, struct error *err)
{
	struct state *state = &agent->state;
	struct state_driver unneeded;
	bool changed = false;

	if (agent->putting_back) {
		unneeded = state->installing;
	} else {
		unneeded = state->driver;
		state->driver = state->installing;
	}
	/* An image needs no way back: its guests have the repository. */
	if (agent->offline) {
		unneeded = state->driver;
		state->driver.path[0] = '\0';
	}

	state->installing = (struct state_driver){ .kind = PACKAGE_NONE };
	state->installing_failed = false;
	if (state_save(&agent->root, state, err) < 0)
		return -1;
	if (unneeded.path[0] && strcmp(unneeded.path, state->driver.path) != 0 &&
	    root_unlink(&agent->root, unneeded.path, err) < 0)
		return -1;
	if (replace_tidy(agent, &changed, err) < 0)
		return -1;
	return fetch_prune(&agent->root, NULL, err);
}

static int change_by_run(struct agent *agent, struct error *err)
{
	bool changed = false;

	if (install_userspace(&agent->runner, &agent->root, agent->tree, agent->log_path,
			      agent->log_fd, err) < 0 ||
	    replace_modules(agent, &changed, err) < 0)
		return -1;
	if (choose_dkms(agent))
		return 0;
	return build_tree_keep(&agent->runner, &agent->root, agent->tree,
			       agent->match.package.version, agent->open_modules, err);
}

static int change(struct agent *agent, struct error *err)
{
	bool changed = false;

	if (begin_change(agent, err) < 0 ||
	    install_blacklist(&agent->runner, &agent->root, agent->log_fd, &changed,
			      err) < 0)
		return -1;
	if (agent->match.package.kind == PACKAGE_RUN
		    ? change_by_run(agent, err) < 0
		    : install_package(&agent->runner, &agent->root,
				      agent->match.package.kind, agent->package_path,
				      agent->log_fd, err) < 0)
		return -1;
	if (install_gridd_unit(&agent->root, &changed, err) < 0)
		return -1;
	agent->units_changed = true;
	return replace_load(agent, &changed, err);
}

/* The old driver again, from its own package, with its own modules. */
static int put_back(struct agent *agent, struct error *err)
{
	const struct state_driver *old = &agent->state.driver;
	struct outcome ignored = { .step = "build" };

	agent->putting_back = true;
	agent->match.package = (struct package){ .kind = old->kind };
	(void)text_copy(agent->match.package.version,
			sizeof(agent->match.package.version), old->version);
	(void)text_copy(agent->package_path, sizeof(agent->package_path), old->path);
	agent->open_modules = old->open;
	memset(agent->target_done, 0, sizeof(agent->target_done));
	memset(agent->built, 0, sizeof(agent->built));

	if (old->kind == PACKAGE_RUN &&
	    (modules_unpack(agent, err) < 0 || modules_build(agent, &ignored, err) < 0))
		return -1;
	if (change(agent, err) < 0)
		return -1;
	return end_change(agent, err);
}

/* What is only missing may come: room, headers, a network. */
static bool is_final(enum error_code code)
{
	return code == ERROR_BUILD || code == ERROR_INTEGRITY || code == ERROR_INSTALL ||
	       code == ERROR_DRIVER;
}

void replace_abandon(struct agent *agent, const struct error *error)
{
	struct state *state = &agent->state;
	struct error err = ERROR_INIT;

	if (error->interrupted || !is_final(error->code))
		return;
	if (agent->putting_back)
		state->driver.path[0] = '\0'; /* the file stays, for --driver */
	else if (agent->package_path[0] &&
		 strcmp(agent->package_path, state->installing.path) == 0)
		state->installing_failed = true;
	else
		return;
	if (state_save(&agent->root, state, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}

/* The change failed: the state remembers, and where an old driver is kept it comes back
 * now. */
static int give_up(struct agent *agent, struct error *err)
{
	struct error second = ERROR_INIT;
	char version[VERSION_MAX];

	if (err->interrupted)
		return -1;
	if (err->code == ERROR_REBOOT) {
		/* It is whole; what is missing is the load that a reboot brings. */
		(void)end_change(agent, &second);
		return -1;
	}

	if (agent->putting_back) {
		replace_abandon(agent, err);
		return -1;
	}
	agent->state.installing_failed = true;
	if (state_save(&agent->root, &agent->state, &second) < 0 ||
	    !is_there(agent, agent->state.driver.path))
		return -1;

	(void)text_copy(version, sizeof(version), agent->state.driver.version);
	log_line(LOG_LEVEL_WARNING, "warning: install: %s; putting driver %s back",
		 err->text, version);
	if (put_back(agent, &second) < 0)
		return error_hint(err,
				  "driver %s could not be put back either (%s); run "
				  "again to try once more",
				  version, second.text);
	return error_hint(err, "driver %s was put back and works", version);
}

int replace_driver(struct agent *agent, struct error *err)
{
	if (change(agent, err) < 0)
		return give_up(agent, err);
	return end_change(agent, err);
}
