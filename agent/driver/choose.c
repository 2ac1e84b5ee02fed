/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/choose.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "model/paths.h"
#include "model/url.h"
#include "steps/build.h"
#include "steps/build_tree.h"
#include "steps/install.h"
#include "steps/match.h"
#include "steps/module_chosen.h"

bool choose_dkms(const struct agent *agent)
{
	const struct settings_driver *driver = &agent->settings.driver;
	enum package_kind kind = agent->match.package.kind;

	return strcmp(driver->dkms, "yes") == 0 && !(agent->job & AGENT_PREBUILD) &&
	       kind != PACKAGE_DEB && kind != PACKAGE_RPM &&
	       strcmp(driver->package, "deb") != 0 && strcmp(driver->package, "rpm") != 0;
}

/* With the setting modules of ours change sides; those of others are where they are. */
static bool is_at_its_place(const struct agent *agent, const char *release,
			    const char *version)
{
	char path[192];
	struct stat st;

	if (!choose_dkms(agent))
		return !build_tree_is_ours(&agent->root, version);
	return !text_format(path, sizeof(path), "/lib/modules/%s/" PATHS_MODULES,
			    release) ||
	       !root_stat(&agent->root, path, &st);
}

int choose_look_at_targets(struct agent *agent, const char *version, struct error *err)
{
	for (size_t i = 0; i < agent->target_count; i++) {
		struct detect_driver there = agent->driver; /* the first one's */

		if (i > 0 && detect_driver(&agent->runner, &agent->root,
					   agent->targets[i].release, &there, err) < 0)
			return -1;
		agent->target_done[i] =
			version[0] && strcmp(there.version, version) == 0 &&
			is_at_its_place(agent, agent->targets[i].release, version);
	}
	return 0;
}

bool choose_targets_done(const struct agent *agent)
{
	for (size_t i = 0; i < agent->target_count; i++) {
		if (!agent->target_done[i])
			return false;
	}
	return true;
}

static bool is_ours(const struct agent *agent, const char *version)
{
	return strcmp(agent->state.driver.version, version) == 0;
}

/* A kernel that has our modules of before an update that was made for another one. */
static int is_former(struct agent *agent, bool *ret_former, struct error *err)
{
	const char *version = agent->driver.version;
	char path[MODULE_CHOSEN_MAX] = "";

	*ret_former = false;
	if (!agent->driver.tools || !agent->state.driver.version[0] ||
	    is_ours(agent, version))
		return 0;
	if (module_chosen(&agent->runner, &agent->root, agent->targets[0].release,
			  "filename", path, err) < 0)
		return -1;
	*ret_former = strstr(path, "/" PATHS_MODULES "/") ||
		      build_tree_is_ours(&agent->root, version);
	return 0;
}

/* The version of the driver that is there: its module, or what we put there. */
static int installed_version(struct agent *agent, const char **ret_version,
			     struct error *err)
{
	bool former = false;

	*ret_version = "";
	if (agent->state.installing.version[0])
		return 0;
	if (agent->driver.version[0] && is_former(agent, &former, err) < 0)
		return -1;
	if (agent->driver.version[0] && !former)
		*ret_version = agent->driver.version;
	else if (agent->driver.tools)
		*ret_version = agent->state.driver.version;
	return 0;
}

/* Somebody else's driver is adopted where it fits, and never removed. */
static int refuse_foreign(struct agent *agent, const char *version, bool fits,
			  struct error *err)
{
	struct error why = ERROR_INIT, unknown = ERROR_INIT;
	bool packaged = false;

	if (!version[0] || is_ours(agent, version) || !gpu_has_vgpu(&agent->gpus))
		return 0;
	if (!fits)
		(void)error_set(
			err, ERROR_INSTALL,
			"a driver %s that others installed is in the way: no GRID "
			"driver (it has no nvidia-gridd)",
			version);
	else if (!agent->settings.driver.allow_mismatch &&
		 match_fits(&agent->host, version, &why) < 0)
		(void)error_set(err, ERROR_INSTALL,
				"a driver that others installed is in the way: %s",
				why.text);
	else
		return 0;

	if (detect_driver_packaged(&agent->runner, &agent->root, &packaged, &unknown) <
		    0 &&
	    unknown.interrupted) {
		*err = unknown;
		return -1;
	}
	return error_hint(err, "remove it the way it was installed (%s), then run again",
			  packaged ? "with the package manager" : "nvidia-uninstall");
}

/* Who keeps an old signed index can show it for ever: the serial only goes up. */
static int judge_serial(struct agent *agent, struct error *err)
{
	struct state_index *last = &agent->state.index;
	int64_t serial = agent->repository.index->serial;
	char shown[SETTINGS_URL_MAX], repository[sizeof(last->repository)];

	(void)url_redact(agent->settings.driver.repository, shown, sizeof(shown));
	if (!text_copy(repository, sizeof(repository), shown))
		return 0; /* too long to be remembered */
	if (strcmp(repository, last->repository) == 0 && serial < last->serial) {
		(void)error_set(err, ERROR_INTEGRITY,
				INDEX_FILE " has the serial %lld, it had %lld before: "
					   "this is an old one",
				(long long)serial, (long long)last->serial);
		return error_hint(err, "publish the last one, or one that was made with "
				       "--previous of it");
	}
	(void)text_copy(last->repository, sizeof(last->repository), repository);
	last->serial = serial;
	return 0;
}

int choose_list(struct agent *agent, struct error *err)
{
	if (!agent->settings.driver.repository[0])
		return 0;
	if (agent_need_transport(agent, err) < 0)
		return -1;

	repository_done(&agent->repository);
	if (match_list(&agent->settings.driver, &agent->transport,
		       settings_is_callers(&agent->settings, "driver.catalog")
			       ? &agent->caller
			       : &agent->root,
		       &agent->channel, &agent->repository, err) < 0)
		return -1;
	if (agent->repository.index_signed && judge_serial(agent, err) < 0) {
		repository_done(&agent->repository);
		return -1;
	}
	for (size_t i = 0; i < agent->repository.warning_count; i++)
		log_line(LOG_LEVEL_WARNING, "warning: match: %s",
			 agent->repository.warnings[i]);
	return 0;
}

enum package_kind choose_os_kind(const struct agent *agent)
{
	switch (kernel_os_family(&agent->os)) {
	case KERNEL_FAMILY_DEBIAN:
		return PACKAGE_DEB;
	case KERNEL_FAMILY_RHEL:
		return PACKAGE_RPM;
	case KERNEL_FAMILY_OTHER:
	default:
		return PACKAGE_NONE;
	}
}

static struct match_input match_input(const struct agent *agent, const char *installed,
				      bool fits)
{
	const struct settings_driver *driver = &agent->settings.driver;

	return (struct match_input){
		.gpus = &agent->gpus,
		.host = &agent->host,
		.host_unreadable = agent->host_unreadable,
		.arch = agent->os.arch,
		.os_kind = choose_os_kind(agent),
		.package = driver->package,
		.url = driver->url,
		.version = driver->version,
		.upgrade = driver->upgrade,
		.allow_mismatch = driver->allow_mismatch,
		.installed = installed,
		.installed_fits = fits,
		.repository = agent->repository.source != REPOSITORY_NONE
				      ? &agent->repository
				      : NULL,
	};
}

/* The modules for a new kernel need the package again where its sources were not kept. */
bool choose_needs_package(struct agent *agent, const char *version)
{
	bool open;

	return !choose_targets_done(agent) &&
	       !build_tree_kept(&agent->root, version, agent->tree, sizeof(agent->tree),
				&open);
}

int choose_again(struct agent *agent, const char *version, struct error *err)
{
	struct match_input input = match_input(agent, "", false);

	if (agent->repository.source == REPOSITORY_NONE && !input.url[0] &&
	    choose_list(agent, err) < 0)
		return -1;
	input = match_input(agent, "", false);
	input.version = version;
	match_done(&agent->match);
	return match_decide(&input, &agent->match, err);
}

int choose_driver(struct agent *agent, bool look_further, char *ret_warning, size_t size,
		  struct error *err)
{
	struct error down = ERROR_INIT;
	struct match_input input;
	const char *version;
	bool fits, reached = true;

	if (installed_version(agent, &version, err) < 0)
		return -1;
	fits = version[0] && agent->driver.tools && agent->driver.grid;

	/* Two hosts under one guest: no driver can be right for both. */
	if (!agent->host_unreadable && !agent->settings.driver.allow_mismatch &&
	    gpu_host(&agent->gpus, &agent->host, err) < 0)
		return -1;
	if (refuse_foreign(agent, version, fits, err) < 0)
		return -1;
	if (agent->offline && !agent->settings.driver.url[0] &&
	    !agent->settings.driver.version[0] && !agent->host.version[0]) {
		(void)error_set(err, ERROR_NO_MATCH, "offline, and no driver is named");
		return error_hint(err, "name one: --driver FILE, or driver.version, or "
				       "driver.url in the configuration");
	}

	input = match_input(agent, version, fits);
	if (fits && !look_further && !agent->settings.driver.upgrade &&
	    match_decide(&input, &agent->match, &down) == 0 &&
	    agent->match.rule == MATCH_INSTALLED)
		return 0;
	match_done(&agent->match);

	down = ERROR_INIT;
	if (!agent->settings.driver.url[0])
		reached = choose_list(agent, &down) == 0;
	if (!reached && (!fits || down.interrupted)) {
		*err = down;
		return -1;
	}
	if (!reached)
		(void)text_format(ret_warning, size, "the repository was not asked: %s",
				  down.text);

	input = match_input(agent, version, fits);
	return match_decide(&input, &agent->match, err);
}
