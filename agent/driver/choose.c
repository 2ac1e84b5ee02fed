/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/choose.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/bound.h"
#include "driver/freshness.h"
#include "driver/tried.h"
#include "model/kernel/family.h"
#include "model/paths.h"
#include "model/url.h"
#include "steps/build/build.h"
#include "steps/build/build_tree.h"
#include "steps/detect/module_chosen.h"
#include "steps/fetch/match.h"
#include "steps/install/install.h"

static bool is_ours(const struct state *state, const char *version)
{
	return strcmp(state->driver.version, version) == 0;
}

/* A kernel that has our modules of before an update that was made for another one. */
static int is_former(const struct context *ctx, const struct guest *guest,
		     const struct state *state, bool *ret_former, struct error *err)
{
	const char *version = guest->installed.version;
	char path[MODULE_CHOSEN_MAX] = "";

	*ret_former = false;
	if (!guest->installed.tools || !state->driver.version[0] ||
	    is_ours(state, version))
		return 0;
	if (module_chosen(ctx->runner, &ctx->root, guest->targets[0].release, "filename",
			  path, err) < 0)
		return -1;
	*ret_former = strstr(path, "/" PATHS_MODULES "/") ||
		      build_tree_is_ours(&ctx->root, version);
	return 0;
}

/* The version of the driver that is there: its module, or what we put there. */
static int installed_version(const struct context *ctx, const struct guest *guest,
			     const struct state *state, const char **ret_version,
			     struct error *err)
{
	const struct detect_driver *installed = &guest->installed;
	bool former = false;

	*ret_version = "";
	if (ctx->job & JOB_APART || state->installing.version[0])
		return 0;
	if (installed->version[0] && is_former(ctx, guest, state, &former, err) < 0)
		return -1;
	if (installed->version[0] && !former)
		*ret_version = installed->version;
	else if (installed->tools)
		*ret_version = state->driver.version;
	return 0;
}

/* Somebody else's driver is adopted where it fits, and never removed. */
static int refuse_foreign(const struct context *ctx, const struct guest *guest,
			  const char *version, bool fits, struct error *err)
{
	struct error why = ERROR_INIT, unknown = ERROR_INIT;
	char owners[128] = "";

	if (!fits)
		(void)error_set(
			err, ERROR_INSTALL,
			"a driver %s that others installed is in the way: no GRID "
			"driver (it has no nvidia-gridd)",
			version);
	else if (!ctx->settings.driver.allow_mismatch &&
		 match_fits(&guest->host, version, &why) < 0)
		(void)error_set(err, ERROR_INSTALL,
				"a driver that others installed is in the way: %s",
				why.text);
	else
		return 0;

	if (obstacle_owners(ctx->runner, &ctx->root, owners, sizeof(owners), &unknown) <
		    0 &&
	    unknown.interrupted) {
		*err = unknown;
		return -1;
	}
	return error_hint(
		err, "remove it the way it was installed (%s%s), then run again",
		owners[0] ? "with the package manager: " : "nvidia-uninstall", owners);
}

int choose_list(const struct context *ctx, struct state *state,
		struct repository *repository, struct error *err)
{
	struct settings_driver driver = ctx->settings.driver;
	const struct transport *transport;

	if (bound_is(ctx) &&
	    bound_repository(ctx, driver.repository, sizeof(driver.repository), err) < 0)
		return -1;
	if (!driver.repository[0])
		return 0;
	transport = context_transport(ctx, err);
	if (!transport)
		return -1;

	repository_done(repository);
	if (match_list(&driver, transport, context_root_of(ctx, "driver.catalog"),
		       ctx->channel, repository, err) < 0)
		return -1;
	if (repository->index_signed &&
	    freshness_judge(ctx, repository, state, err) < 0) {
		repository_done(repository);
		return -1;
	}
	for (size_t i = 0; i < repository->warning_count; i++)
		log_line(LOG_LEVEL_WARNING, "warning: match: %s",
			 repository->warnings[i]);
	return 0;
}

/* What is replaced, or comes, by the package manager is no stranger to that. */
static enum obstacle_packages packages_in_the_way(const struct context *ctx,
						  const struct state *state,
						  const struct work *work)
{
	const char *wanted = ctx->settings.driver.package;
	enum package_kind here = state->driver.kind;

	if (work_keeps_installed(work))
		return OBSTACLE_PACKAGES_NONE;
	return work_is_package(work) || here == PACKAGE_DEB || here == PACKAGE_RPM ||
			       strcmp(wanted, "deb") == 0 || strcmp(wanted, "rpm") == 0
		       ? OBSTACLE_PACKAGES_OTHERS
		       : OBSTACLE_PACKAGES_ANY;
}

struct obstacle_input choose_obstacles(const struct context *ctx,
				       const struct state *state, const struct work *work)
{
	return (struct obstacle_input){
		.runner = ctx->runner,
		.root = &ctx->root,
		.gpus = &work->guest->gpus,
		.os = &work->guest->os,
		.offline = ctx->offline,
		.packages = packages_in_the_way(ctx, state, work),
	};
}

int choose_refuse_lost(const struct context *ctx, const struct state *state,
		       struct error *err)
{
	char program[128];

	if (!run_find(&ctx->root, "nvidia-smi", program, sizeof(program)))
		return 0;
	return state_refuse_lost(state, err);
}

int choose_refuse_obstacles(const struct context *ctx, const struct state *state,
			    const struct work *work, struct error *err)
{
	struct obstacle_input input = choose_obstacles(ctx, state, work);

	if (ctx->job & JOB_APART ||
	    (work_keeps_installed(work) && work_targets_done(work)))
		return 0;
	if (work_need_target(work, err) < 0 ||
	    (!work_keeps_installed(work) && choose_refuse_lost(ctx, state, err) < 0))
		return -1;
	for (size_t i = 0; obstacle_name(i); i++) {
		if (obstacle_look(&input, i, err) < 0)
			return -1;
	}
	return 0;
}

enum package_kind choose_os_kind(const struct os *os)
{
	return family_package_kind(os);
}

/* Whether the command line says which driver it is to be. */
static bool is_commanded(const struct context *ctx)
{
	const struct settings_driver *driver = &ctx->settings.driver;

	return ctx->settings.driver_layer == SETTINGS_COMMAND &&
	       (driver->url[0] || driver->version[0]);
}

static struct match_input match_input(const struct context *ctx,
				      const struct guest *guest, const char *installed,
				      bool fits)
{
	const struct settings_driver *driver = &ctx->settings.driver;

	return (struct match_input){
		.gpus = &guest->gpus,
		.host = &guest->host,
		.host_unreadable = guest_host_unreadable(guest),
		.repository_may_come = ctx->settings.metadata.enabled && !ctx->offline,
		.arch = guest->os.arch,
		.os_kind = choose_os_kind(&guest->os),
		.package = driver->package,
		.url = driver->url,
		.version = driver->version,
		.upgrade = driver->upgrade,
		.fallback = driver->fallback,
		.allow_mismatch = driver->allow_mismatch,
		.commanded = is_commanded(ctx),
		.installed = installed,
		.installed_fits = fits,
	};
}

/* Where no driver can be chosen, whatever there is. */
static int check_host(const struct context *ctx, const struct guest *guest,
		      struct error *err)
{
	const struct settings_driver *driver = &ctx->settings.driver;

	/* Two hosts under one guest: no driver can be right for both. */
	if (guest->host_why.code && !guest_host_unreadable(guest) &&
	    !driver->allow_mismatch) {
		*err = guest->host_why;
		return -1;
	}
	if (!ctx->offline || driver->url[0] || driver->version[0] ||
	    guest->host.version[0])
		return 0;
	(void)error_set(err, ERROR_NO_MATCH, "offline, and no driver is named");
	return error_hint(err, "name one: --driver FILE, or driver.version, or "
			       "driver.url in the configuration");
}

/* The modules for a new kernel need the package again where its sources were not kept. */
static int needs_package(const struct context *ctx, const char *version,
			 struct work *work, bool *ret_needs, struct error *err)
{
	char tree[sizeof(work->tree)];
	bool open;

	*ret_needs = false;
	if (!version[0])
		return 0;
	if (work_look_at_targets(ctx, &work->guest->installed, version, work, err) < 0)
		return -1;
	*ret_needs = !work_targets_done(work) &&
		     !build_tree_kept(&ctx->root, version, tree, sizeof(tree), &open);
	return 0;
}

static int ask_repository(const struct context *ctx, struct state *state,
			  struct repository *repository, struct match_input *input,
			  struct error *down, struct error *err)
{
	bool other = input->commanded && input->version[0] &&
		     version_compare(input->version, input->installed) != 0;
	bool needed = !input->installed_fits || input->again || other;

	if (choose_list(ctx, state, repository, down) < 0 &&
	    (needed || down->interrupted)) {
		*err = *down;
		return -1;
	}
	input->may_ask = false;
	input->repository = repository->source != REPOSITORY_NONE ? repository : NULL;
	return 0;
}

/* A URL that the cloud names is taken only as the signed index has it. */
static int bind_url(const struct context *ctx, struct state *state,
		    struct repository *repository, struct match *match, struct error *err)
{
	if (match->rule != MATCH_URL || !bound_is(ctx))
		return 0;
	if (repository->source == REPOSITORY_NONE &&
	    choose_list(ctx, state, repository, err) < 0)
		return -1;
	return bound_take(ctx, repository, &match->package, err);
}

static void take_match(struct work *work, const struct state *state)
{
	const struct package *package = &work->match.package;

	work->driver = (struct driver){
		.kind = package->kind,
		.open = is_ours(state, package->version) && state->driver.open,
	};
	(void)text_copy(work->driver.version, sizeof(work->driver.version),
			package->version);
	(void)text_copy(work->driver.sha256, sizeof(work->driver.sha256),
			package->sha256);
}

/* Where a wish hides the repository that could fulfil it, the refusal says so. */
static int decide(const struct context *ctx, const struct match_input *input,
		  struct match *match, struct error *err)
{
	static const char *const wishes[] = { "driver.version", "driver.sha256" };
	const struct settings *settings = &ctx->settings;

	if (match_decide(input, match, err) == 0)
		return 0;
	if (err->code != ERROR_NO_MATCH || settings->driver.repository[0] ||
	    !settings->hidden_repository[0])
		return -1;
	for (size_t i = 0; i < ARRAY_SIZE(wishes); i++) {
		if (settings_is_set(settings, wishes[i]))
			return error_hint(err,
					  "%s of %s hides driver.repository of %s: set "
					  "driver.repository beside it, too",
					  wishes[i], settings_where(settings, wishes[i]),
					  settings->hidden_repository);
	}
	return -1;
}

int choose_driver(const struct context *ctx, struct state *state,
		  struct repository *repository, bool look_further, struct work *work,
		  struct error *err)
{
	const struct guest *guest = work->guest;
	struct error down = ERROR_INIT;
	struct match_input input;
	const char *version;
	bool fits;

	if (installed_version(ctx, guest, state, &version, err) < 0)
		return -1;
	fits = version[0] && guest->installed.tools && guest->installed.grid;
	if (check_host(ctx, guest, err) < 0)
		return -1;
	if (version[0] && !is_ours(state, version) && gpu_has_vgpu(&guest->gpus) &&
	    refuse_foreign(ctx, guest, version, fits, err) < 0)
		return -1;

	if (tried_forget(ctx, work, state, err) < 0)
		return -1;
	input = match_input(ctx, guest, version, fits);
	input.known = tried_known(ctx, work, state, version);
	/* After a build that failed the rules are asked again, and the network is not. */
	if (repository->source != REPOSITORY_NONE)
		input.repository = repository;
	input.may_ask = ctx->settings.driver.repository[0] && !input.repository;
	if (needs_package(ctx, version, work, &input.again, err) < 0)
		return -1;
	input.installed_doomed = is_ours(state, version) &&
				 tried_dooms(&input.known, work, version);
	if (look_further && input.may_ask && !input.url[0] &&
	    ask_repository(ctx, state, repository, &input, &down, err) < 0)
		return -1;
	if (decide(ctx, &input, &work->match, err) < 0)
		return -1;
	if (work->match.ask &&
	    (ask_repository(ctx, state, repository, &input, &down, err) < 0 ||
	     decide(ctx, &input, &work->match, err) < 0))
		return -1;

	if (bind_url(ctx, state, repository, &work->match, err) < 0)
		return -1;
	if (down.code && !work->match.warning[0])
		(void)text_format(work->match.warning, sizeof(work->match.warning),
				  "the repository was not asked: %s", down.text);
	take_match(work, state);
	return 0;
}

static bool file_is_there(const struct context *ctx, const char *path)
{
	struct stat st;

	return path[0] && root_stat(&ctx->root, path, &st) && S_ISREG(st.st_mode);
}

/*
 * Whether the command line wants another driver than the one that was cut off. --driver
 * is always another one: it is a file that the caller has chosen now.
 */
static bool is_other_wanted(const struct context *ctx, const struct state *state)
{
	const struct settings_driver *driver = &ctx->settings.driver;
	const char *version = driver->version, *ignored;
	struct package package;

	if (!is_commanded(ctx) || ctx->options->driver)
		return ctx->options->driver != NULL;
	if (driver->url[0])
		version = package_parse(match_url_file(driver->url), &package, &ignored)
				  ? package.version
				  : "";
	return strcmp(version, state->installing.version) != 0;
}

bool choose_cut_off(const struct context *ctx, const struct state *state,
		    struct work *work, char *detail, size_t size)
{
	if (ctx->job & JOB_APART || !state->installing.version[0] ||
	    is_other_wanted(ctx, state))
		return false;

	if (!state->installing_failed && file_is_there(ctx, state->installing.path)) {
		work->driver = state->installing;
		work->recorded = true;
		(void)text_format(detail, size,
				  "finishing the installation of %s that was cut off",
				  state->installing.version);
		return true;
	}
	if (state->driver.version[0] && file_is_there(ctx, state->driver.path)) {
		work->driver = state->driver;
		work->way_back = work->recorded = true;
		(void)text_format(detail, size, "putting %s back: %s does not work here",
				  state->driver.version, state->installing.version);
		return true;
	}
	return false;
}

/*
 * The one before what was there at the beginning: where an update was cut off the driver
 * on record, else the kept one, which may itself be on its way back.
 */
static const struct driver *driver_before(const struct state *state)
{
	const char *installing = state->installing.path;

	return state->installing.version[0] &&
			       strcmp(installing, state->previous.path) != 0
		       ? &state->driver
		       : &state->previous;
}

static int refuse_previous(const struct driver *before, struct error *err)
{
	if (before->version[0])
		(void)error_set(err, ERROR_NO_MATCH,
				"the package of driver %s, the one before, is not kept",
				before->version);
	else
		(void)error_set(err, ERROR_NO_MATCH,
				"no driver was replaced here: there is none before");
	return error_hint(err, "name one: --driver FILE, or --set driver.version=VERSION "
			       "of what the repository has");
}

const struct driver *choose_kept_previous(const struct context *ctx,
					  const struct state *state)
{
	const struct driver *before = driver_before(state);

	return before->version[0] && file_is_there(ctx, before->path) ? before : NULL;
}

int choose_previous(const struct context *ctx, const struct state *state,
		    struct work *work, char *detail, size_t size, struct error *err)
{
	const struct driver *before = choose_kept_previous(ctx, state);

	if (!before)
		return refuse_previous(driver_before(state), err);
	if (!ctx->settings.driver.allow_mismatch &&
	    match_fits(&work->guest->host, before->version, err) < 0)
		return error_prefix(err, "the driver before");
	work->driver = *before;
	work->recorded = true;
	work->way_back = before == &state->driver;
	(void)text_format(detail, size, "putting %s back, the driver before%s%s",
			  before->version, state->driver.version[0] ? " " : "",
			  work->way_back ? state->installing.version
					 : state->driver.version);
	return 0;
}
