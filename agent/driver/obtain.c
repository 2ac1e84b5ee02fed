/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/obtain.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/modules.h"
#include "driver/replace.h"
#include "steps/announce.h"

static bool file_is_there(const struct agent *agent, const char *path)
{
	struct stat st;

	return path[0] && root_stat(&agent->root, path, &st) && S_ISREG(st.st_mode);
}

static void aim_at(struct agent *agent, const struct state_driver *driver)
{
	struct package *package = &agent->match.package;

	*package = (struct package){ .kind = driver->kind };
	(void)text_copy(package->version, sizeof(package->version), driver->version);
	(void)text_copy(package->sha256, sizeof(package->sha256), driver->sha256);
	(void)text_copy(agent->package_path, sizeof(agent->package_path), driver->path);
	agent->open_modules = driver->open;
}

/* What a run that was cut off left: true when it decides what is to be done. */
static bool take_up(struct agent *agent, struct outcome *outcome)
{
	const struct state *state = &agent->state;

	/* Who names a file wants that one. */
	if (!state->installing.version[0] || agent->options.driver)
		return false;

	if (!state->installing_failed && file_is_there(agent, state->installing.path)) {
		aim_at(agent, &state->installing);
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "finishing the installation of %s that was cut off",
				  state->installing.version);
		return true;
	}
	if (state->driver.version[0] && file_is_there(agent, state->driver.path)) {
		aim_at(agent, &state->driver);
		agent->putting_back = true;
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "putting %s back: %s does not work here",
				  state->driver.version, state->installing.version);
		return true;
	}
	return false;
}

static void describe_match(const struct agent *agent, struct outcome *outcome)
{
	const struct match *match = &agent->match;

	if (match->rule == MATCH_INSTALLED)
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "driver %s is installed", match->package.version);
	else
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "driver %s by rule \"%s\": %.160s",
				  match->package.version[0] ? match->package.version
							    : "of the URL",
				  match_rule_name(match->rule), match->package.name);
	if (match->warning[0])
		(void)text_copy(outcome->warning, sizeof(outcome->warning),
				match->warning);
}

int obtain_match(struct agent *agent, struct outcome *outcome, struct error *err)
{
	char version[VERSION_MAX];

	if (!(agent->job & AGENT_APART) && take_up(agent, outcome))
		return 0;
	if (choose_driver(agent, false, outcome->warning, sizeof(outcome->warning), err) <
	    0)
		return -1;

	(void)text_copy(version, sizeof(version), agent->match.package.version);
	if (agent->match.rule == MATCH_INSTALLED && !(agent->job & AGENT_APART)) {
		if (choose_look_at_targets(agent, version, err) < 0)
			return -1;
		if (choose_needs_package(agent, version) &&
		    choose_again(agent, version, err) < 0)
			return -1;
	}
	describe_match(agent, outcome);
	return 0;
}

/* What the index of the repository has of the chosen file, or NULL. */
static const struct index_file *indexed(const struct agent *agent)
{
	return agent->match.rule == MATCH_URL
		       ? NULL
		       : index_find(agent->repository.index, agent->match.package.name);
}

static struct member_wish member_wish(const struct agent *agent)
{
	const char *package = agent->settings.driver.package;
	bool any = strcmp(package, "auto") == 0;

	return (struct member_wish){
		.bundle = agent->match.package.name,
		.arch = agent->os.arch,
		.kinds = { strcmp(package, "deb") == 0   ? PACKAGE_DEB
			   : strcmp(package, "rpm") == 0 ? PACKAGE_RPM
							 : PACKAGE_RUN,
			   any ? choose_os_kind(agent) : PACKAGE_NONE, PACKAGE_NONE },
	};
}

/* A pin is of the whole bundle: what the index says is compared after that. */
static const struct index_member *entry_of(const struct agent *agent,
					   const struct member_wish *wish)
{
	const struct repository *repository = &agent->repository;
	const struct index_file *file = indexed(agent);

	if (!file || agent->settings.driver.sha256[0] ||
	    (!repository->index_signed && !repository->index_verified))
		return NULL;
	return index_choose(file, wish);
}

int obtain_fetch_input(struct agent *agent, char *url, size_t size,
		       struct fetch_input *ret_input, struct error *err)
{
	struct settings_driver *driver = &agent->settings.driver;
	struct package *package = &agent->match.package;
	bool by_url = agent->match.rule == MATCH_URL, has_entry = indexed(agent);
	struct member_wish wish;

	if (by_url ? !text_copy(url, size, driver->url)
		   : !repository_file_url(driver->repository, package->name, url, size))
		return error_set(err, ERROR_USAGE, "the URL of %s is too long",
				 package->name);

	if (driver->sha256[0] && package->sha256[0] &&
	    strcmp(driver->sha256, package->sha256) != 0)
		return error_set(err, ERROR_INTEGRITY,
				 "%s: driver.sha256 is %.12s..., the %s says %.12s...",
				 package->name, driver->sha256,
				 has_entry ? "index" : "manifest", package->sha256);
	if (driver->sha256[0])
		(void)text_copy(package->sha256, sizeof(package->sha256), driver->sha256);

	wish = member_wish(agent);
	*ret_input = (struct fetch_input){
		.url = url,
		.package = package,
		.pinned = driver->sha256[0] != '\0',
		.index_signed = has_entry && agent->repository.index_signed,
		.index_verified = has_entry && agent->repository.index_verified,
		.manifest_verified = !by_url && agent->repository.verified &&
				     agent->repository.source == REPOSITORY_MANIFEST,
		.entry = entry_of(agent, &wish),
		.wish = wish,
		.root = agent->settings.driver_layer == SETTINGS_COMMAND ? &agent->caller
									 : &agent->root,
		.settings = &agent->settings,
	};
	return 0;
}

static const struct root *cache_root(const struct agent *agent)
{
	return agent->job & AGENT_APART ? &agent->cache : &agent->root;
}

/* Nothing is to be fetched for what is installed, or kept from a run that was cut off. */
static bool has_package(const struct agent *agent)
{
	return agent->match.rule == MATCH_INSTALLED || agent->package_path[0];
}

int obtain_fetch(struct agent *agent, struct outcome *outcome, struct error *err)
{
	char url[SETTINGS_URL_MAX + 3 * PACKAGE_NAME_MAX];
	struct fetch_input input;

	if (has_package(agent) && !(agent->job & AGENT_APART)) {
		outcome->kind = OUTCOME_SKIPPED;
		(void)text_copy(outcome->detail, sizeof(outcome->detail),
				"nothing to fetch");
		return 0;
	}

	if (obtain_fetch_input(agent, url, sizeof(url), &input, err) < 0 ||
	    fetch_check(&input, err) < 0 || agent_need_transport(agent, err) < 0)
		return -1;
	if (fetch_file(&input, &agent->transport, cache_root(agent), &agent->channel,
		       &agent->package, err) < 0)
		return -1;

	if (agent->package.bytes_transferred > 0)
		outcome->kind = OUTCOME_CHANGED;
	if (agent->package.why[0])
		log_line(LOG_LEVEL_NOTICE, "fetch      the whole bundle was fetched: %s",
			 agent->package.why);
	if (agent->package.integrity == FETCH_NONE)
		(void)text_copy(outcome->warning, sizeof(outcome->warning),
				"nothing vouches for this file (driver.integrity is "
				"\"warn\")");
	(void)text_format(outcome->detail, sizeof(outcome->detail),
			  "%.1f MiB, %.1f MiB transferred, %s",
			  (double)agent->package.size / 1048576.0,
			  (double)agent->package.bytes_transferred / 1048576.0,
			  fetch_integrity_name(agent->package.integrity));
	return 0;
}

static struct unpack_input unpack_input(struct agent *agent)
{
	const struct member_wish wish = member_wish(agent);
	struct unpack_input input = {
		.fd = agent->package.fd,
		.name = agent->match.package.name,
		.arch = agent->os.arch,
		.root = &agent->root,
		.channel = &agent->channel,
		.runner = &agent->runner,
	};

	memcpy(input.wanted, wish.kinds, sizeof(input.wanted));
	return input;
}

/* What the file itself says wins over its name, and must not contradict the host. */
static int judge_content(struct agent *agent, struct error *err)
{
	const struct unpack_content *content = &agent->content;
	struct package *package = &agent->match.package;
	/* What the rules decided on is decided, NVIDIA's catalog may know better. */
	bool decided = strcmp(content->version, package->version) == 0;

	if (content->version[0])
		(void)text_copy(package->version, sizeof(package->version),
				content->version);
	if (!version_valid(span_of(package->version)))
		return error_set(err, ERROR_INTEGRITY,
				 "%s does not say which version it is", package->name);
	if (content->arch[0] && strcmp(content->arch, agent->os.arch) != 0)
		return error_set(err, ERROR_NO_MATCH,
				 "driver %s is for %s, this guest is %s",
				 package->version, content->arch, agent->os.arch);
	if (decided || agent->settings.driver.allow_mismatch)
		return 0;
	return match_fits(&agent->host, package->version, err);
}

static int contradicts(const struct agent *agent, const char *what, struct error *err)
{
	(void)error_set(err, ERROR_INTEGRITY, "%s contradicts " INDEX_FILE ": %s",
			agent->match.package.name, what);
	return error_hint(err, "make the index anew (vgpu-guest-agent index) and publish "
			       "it with the files that it was made of");
}

/* Whose index is wrong about what a file holds has published something else. */
static int judge_index(const struct agent *agent, struct error *err)
{
	const struct unpack_content *content = &agent->content;
	const struct member *member = &content->member;
	const struct index_file *file = indexed(agent);
	const struct index_member *entry;
	bool bundle = member->name[0] != '\0';

	if (!file)
		return 0;
	if ((bundle ? PACKAGE_BUNDLE : content->kind) != file->kind)
		return contradicts(agent, "it is of another kind", err);
	if (!bundle)
		return content->version[0] && strcmp(content->version, file->version) != 0
			       ? contradicts(agent, "it is of another version", err)
			       : 0;

	entry = index_find_member(file, member->name);
	if (!entry)
		return contradicts(agent, "it has another guest driver", err);
	if (entry->kind != member->kind ||
	    (member->version[0] && strcmp(entry->version, member->version) != 0) ||
	    entry->size != member->size)
		return contradicts(agent,
				   "its guest driver is of another version or size", err);
	return 0;
}

static int judge_member(const struct agent *agent, struct error *err)
{
	const struct index_file *file = indexed(agent);
	const struct index_member *entry =
		file ? index_find_member(file, agent->content.member.name) : NULL;

	return entry && strcmp(entry->sha256, agent->match.package.sha256) != 0
		       ? contradicts(agent, "its guest driver has another SHA-256", err)
		       : 0;
}

/* The file that was fetched is what is installed. */
static void take_as_it_is(struct agent *agent)
{
	agent->match.package.kind = agent->content.kind;
	(void)text_copy(agent->package_path, sizeof(agent->package_path),
			agent->package.path);
	(void)text_copy(agent->match.package.sha256, sizeof(agent->match.package.sha256),
			agent->package.sha256);
}

/* The file that is installed: of a bundle its member. */
static int take_out(struct agent *agent, struct error *err)
{
	struct unpack_input input = unpack_input(agent);
	struct unpack_content *content = &agent->content;

	if (agent->package.member.name[0])
		unpack_content_of(&agent->package.member, content);
	else if (unpack_inspect(&input, content, err) < 0)
		return -1;
	if (judge_index(agent, err) < 0 || judge_content(agent, err) < 0)
		return -1;

	if (content->kind != PACKAGE_BUNDLE) {
		take_as_it_is(agent);
		return judge_member(agent, err);
	}
	agent->match.package.kind = content->member.kind;
	input.root = cache_root(agent);
	if (unpack_member(&input, content, agent->package_path,
			  sizeof(agent->package_path), err) < 0)
		return -1;
	/* From here on it is the member that is meant: its file is named by its hash. */
	(void)span_copy(span_of(text_base_name(agent->package_path)),
			agent->match.package.sha256, sizeof(agent->match.package.sha256));
	return judge_member(agent, err);
}

int obtain_unpack(struct agent *agent, struct outcome *outcome, struct error *err)
{
	const struct package *package = &agent->match.package;

	if (agent->match.rule == MATCH_INSTALLED) {
		outcome->kind = OUTCOME_SKIPPED;
		(void)text_copy(outcome->detail, sizeof(outcome->detail),
				"nothing to unpack");
		return 0;
	}
	if (!agent->package_path[0] && take_out(agent, err) < 0)
		return -1;

	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail), "%s driver %s",
			  package_kind_name(package->kind), package->version);
	if (package->kind != PACKAGE_RUN || agent->job & AGENT_APART)
		return 0;
	if (agent_need_log(agent, err) < 0)
		return -1;
	if (modules_unpack(agent, err) < 0) {
		replace_abandon(agent, err);
		return -1;
	}
	return 0;
}

int obtain_build(struct agent *agent, struct outcome *outcome, struct error *err)
{
	const char *version = agent->match.package.version;

	if (choose_look_at_targets(agent, version, err) < 0)
		return -1;
	if (choose_targets_done(agent)) {
		(void)text_format(outcome->detail, sizeof(outcome->detail),
				  "the modules of %s are there", version);
		return 0;
	}

	outcome->kind = OUTCOME_CHANGED;
	if (modules_build(agent, outcome, err) < 0) {
		replace_abandon(agent, err);
		return -1;
	}
	return 0;
}

int obtain_install(struct agent *agent, struct outcome *outcome, struct error *err)
{
	int result;

	if (!agent->offline)
		announce_change(&agent->root, true);
	result = modules_install(agent, outcome, err);
	if (!agent->offline)
		announce_change(&agent->root, false);
	return result;
}
