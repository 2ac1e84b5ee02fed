/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/span.h"
#include "base/text.h"
#include "model/driver/match_rules.h"

const char *match_rule_name(enum match_rule rule)
{
	static const char *const names[] = {
		[MATCH_NONE] = "none",     [MATCH_INSTALLED] = "installed",
		[MATCH_URL] = "url",       [MATCH_VERSION] = "version",
		[MATCH_BUNDLE] = "bundle", [MATCH_CATALOG] = "catalog",
		[MATCH_BRANCH] = "branch", [MATCH_PREVIOUS_BRANCH] = "previous-branch",
		[MATCH_ONLY] = "only",
	};

	return (size_t)rule < ARRAY_SIZE(names) ? names[rule] : "none";
}

void match_done(struct match *match)
{
	free(match->candidates);
	*match = (struct match){ .rule = MATCH_NONE };
}

int match_fits(const struct host_driver *host, const char *version, struct error *err)
{
	int of_host = version_branch(host->version), of_guest = version_branch(version);

	if (of_host == 0 || of_guest == of_host)
		return 0;
	if (of_guest > of_host) {
		(void)error_set(err, ERROR_NO_MATCH,
				"guest driver %s is of a later branch than the host's "
				"%s: the vGPU would not start",
				version, host->version);
		return error_hint(err, "use a guest driver of branch %d", of_host);
	}
	if (version_branch_index(of_host) < 0 ||
	    of_guest == version_branch_previous(of_host) ||
	    of_guest == version_branch_previous_lts(of_host))
		return 0;

	(void)error_set(err, ERROR_NO_MATCH,
			"guest driver %s is of a branch too old for the host's %s",
			version, host->version);
	return error_hint(err, "use a guest driver of branch %d", of_host);
}

/* NVIDIA's catalog may allow what the rule of thumb does not. */
static bool catalog_allows(const struct match_input *input, const char *version)
{
	const struct repository *repository = input->repository;

	for (size_t i = 0; repository && repository->catalog && i < input->gpus->count;
	     i++) {
		const struct gpu *gpu = &input->gpus->gpus[i];
		const struct catalog_host host = { input->host, gpu->device,
						   gpu->subsystem_device, "" };
		const char *why;
		enum catalog_verdict verdict =
			catalog_judge(repository->catalog, &host, version, &why);

		if (gpu->kind == GPU_VGPU &&
		    (verdict == CATALOG_ALLOWED || verdict == CATALOG_SAME_BRANCH))
			return true;
	}

	return false;
}

static int check_fits(const struct match_input *input, const char *version,
		      struct error *err)
{
	if (input->allow_mismatch || version[0] == '\0' || catalog_allows(input, version))
		return 0;

	return match_fits(input->host, version, err);
}

struct span match_url_file(const char *url)
{
	return span_base_name((struct span){ url, strcspn(url, "?#") });
}

/* Rule 1. The name may be anybody's; what the file holds is seen after the download. */
static int take_url(const struct match_input *input, struct package *ret_package,
		    struct error *err)
{
	struct span file = match_url_file(input->url);
	struct package package;
	const char *why = "";

	if (!package_parse(file, &package, &why)) {
		package.kind = package_kind_of(file);
		package.arch[0] = '\0';
	}

	if (package.kind == PACKAGE_NONE)
		return error_set(err, ERROR_USAGE,
				 "driver.url names no .zip, .run, .deb or .rpm file");
	if (package.host_driver)
		return error_set(err, ERROR_NO_MATCH, "driver.url names %s: %s", why,
				 package.name);
	if (package.arch[0] && strcmp(package.arch, input->arch) != 0)
		return error_set(err, ERROR_NO_MATCH, "%s is for %s, this is %s",
				 package.name, package.arch, input->arch);
	if (check_fits(input, package.version, err) < 0)
		return error_prefix(err, "driver.url");

	*ret_package = package;
	return 0;
}

static struct match_candidate *add_candidate(struct match *match, const char *name,
					     const char *version)
{
	struct match_candidate *candidate = &match->candidates[match->count++];

	(void)text_copy(candidate->name, sizeof(candidate->name), name);
	(void)text_copy(candidate->version, sizeof(candidate->version), version);
	text_sanitize(candidate->name);
	return candidate;
}

/* Rule 0 has the say over all others, but the report tells what they would have said. */
static void list_candidates(const struct match_input *input,
			    const struct match_work *work, enum match_rule rule,
			    const struct match_entry *chosen, struct match *match)
{
	static const char *const because[] = {
		[MATCH_VERSION] = "it is the version asked for",
		[MATCH_BUNDLE] = "its host version is this host's",
		[MATCH_CATALOG] = "NVIDIA's catalog allows it on this host",
		[MATCH_BRANCH] = "the highest version of the host's branch",
		[MATCH_PREVIOUS_BRANCH] =
			"the highest version of the branch before the host's",
		[MATCH_ONLY] = "the only guest version there is",
	};
	const struct repository *repository = input->repository;

	if (match->rule == MATCH_URL) {
		struct match_candidate *candidate =
			add_candidate(match, match->package.name, match->package.version);

		candidate->accepted = true;
		(void)text_copy(candidate->why, sizeof(candidate->why),
				"driver.url names it");
	}

	for (size_t i = 0; i < work->count; i++) {
		const struct match_entry *entry = &work->entries[i];
		struct match_candidate *candidate = add_candidate(
			match, entry->package->name, entry->package->version);
		size_t size = sizeof(candidate->why);

		candidate->accepted = entry == chosen && match->rule == rule;
		if (input->url[0])
			(void)text_copy(candidate->why, size,
					"driver.url names another file");
		else if (match->rule == MATCH_INSTALLED && entry == chosen)
			(void)text_format(candidate->why, size,
					  "%s is installed and stays",
					  match->package.version);
		else if (candidate->accepted)
			(void)text_format(candidate->why, size, "%s%s", because[rule],
					  entry->known.verdict == KNOWN_WORKS
						  ? ", of those known to compile here"
						  : "");
		else if (entry == chosen)
			(void)text_copy(candidate->why, size,
					"it contradicts the host's version");
		else
			match_rules_explain(work, entry, rule, chosen, candidate->why,
					    size);
	}

	for (size_t i = 0; repository && i < repository->passed_over_count; i++) {
		struct match_candidate *candidate =
			add_candidate(match, repository->passed_over[i].name, "");

		(void)text_copy(candidate->why, sizeof(candidate->why),
				repository->passed_over[i].why);
	}
}

static int refuse_unknown_host(const struct match_input *input, struct error *err)
{
	for (size_t i = 0; i < input->gpus->count; i++) {
		const struct gpu *gpu = &input->gpus->gpus[i];

		if (gpu->record != GPU_RECORD_MALFORMED)
			continue;
		(void)error_set(err, ERROR_NO_MATCH, "%s: %s", gpu->address, gpu->note);
		return error_hint(err, "set driver.version or driver.url");
	}

	if (input->gpus->count == 0)
		(void)error_set(err, ERROR_NO_MATCH,
				"no GPU is looked at here, and no driver is named");
	else
		(void)error_set(err, ERROR_NO_MATCH,
				"the host's driver version is not known (passed through, "
				"or a host older than vGPU 12), and the repository does "
				"not hold exactly one guest version");
	return error_hint(err, "set driver.version or driver.url");
}

/* Says why no rule took anything. What the repository lacks may be published. */
static int refuse_no_match(const struct match_input *input, const struct match_work *work,
			   struct error *err)
{
	const struct host_driver *host = input->host;

	if (input->host_unreadable && !input->version[0]) {
		(void)error_set(err, ERROR_PERMISSION,
				"the host's driver version could not be read from PCI");
		return error_hint(err, "run it as root, or set driver.version");
	}
	if (!input->repository) {
		(void)error_set(err, ERROR_NO_MATCH,
				"there is no repository to choose a driver from");
		(void)error_passing(err, input->repository_may_come);
		return error_hint(err, "set driver.repository or driver.url");
	}
	if (work->count == 0) {
		(void)error_set(err, ERROR_NO_MATCH,
				"the repository holds no Linux guest driver");
		(void)error_passing(err, true);
		return error_hint(err, "upload NVIDIA's bundle or its -grid.run under "
				       "its own name");
	}
	if (input->version[0]) {
		(void)error_set(err, ERROR_NO_MATCH,
				"the repository has no usable driver of version %s",
				input->version);
		(void)error_passing(err, true);
		return error_hint(err, "`vgpu-guest-agent plan` lists what it has");
	}
	if (!host->version[0])
		return refuse_unknown_host(input, err);

	(void)error_set(err, ERROR_NO_MATCH,
			"no driver in the repository fits the host's %s", host->version);
	(void)error_passing(err, true);
	return error_hint(err,
			  "upload the bundle whose first version is %s; "
			  "`vgpu-guest-agent plan` says why each file was passed over",
			  host->version);
}

/* Where the kernel, and not the host alone, has decided. */
static void warn_of_kernel(const struct match_work *work,
			   const struct match_entry *chosen, struct match *match)
{
	const struct match_entry *doomed = match_rules_doomed(work);
	const struct known *known = doomed ? &doomed->known : NULL;

	if (chosen->known.verdict == KNOWN_FAILS)
		(void)text_format(
			match->warning, sizeof(match->warning),
			"%s is known not to compile for kernel %s%s: %.120s",
			match->package.version, chosen->known.kernel,
			match->rule == MATCH_VERSION ? "" : ", but nothing else fits",
			chosen->known.why);
	else if (doomed &&
		 version_compare(doomed->package->version, match->package.version) > 0)
		(void)text_format(match->warning, sizeof(match->warning),
				  "%s is passed over: it does not compile for kernel "
				  "%s%s%.120s",
				  doomed->package->version, known->kernel,
				  known->why[0] ? ": " : "", known->why);
}

static void warn_of_rule(const struct match_input *input, const struct match_work *work,
			 const struct match_entry *chosen, struct match *match)
{
	if (match->rule == MATCH_PREVIOUS_BRANCH)
		(void)text_format(match->warning, sizeof(match->warning),
				  "%s is of an older branch than the host's %s: only "
				  "what both branches know will work",
				  match->package.version, input->host->version);
	else if (match->rule == MATCH_ONLY)
		(void)text_format(match->warning, sizeof(match->warning),
				  "%s was chosen because it is the only version there: "
				  "nothing says that it fits this host",
				  match->package.version);
	if (chosen)
		warn_of_kernel(work, chosen, match);
}

/* vGPUs that name different host drivers cannot be served by one guest driver. */
static int check_one_host(const struct match_input *input, struct error *err)
{
	bool named = input->url[0] || input->version[0];
	struct host_driver host;
	struct error why = ERROR_INIT;

	if ((named && input->allow_mismatch) || gpu_host(input->gpus, &host, &why) == 0 ||
	    why.code != ERROR_NO_MATCH)
		return 0;

	*err = why;
	return -1;
}

/* Rules 1 to 7. `ret_rule` and `ret_chosen` also tell of a choice that was refused. */
static int choose(const struct match_input *input, const struct match_work *work,
		  enum match_rule *ret_rule, const struct match_entry **ret_chosen,
		  struct package *ret_package, struct error *err)
{
	if (input->url[0]) {
		*ret_rule = MATCH_URL;
		return take_url(input, ret_package, err);
	}
	if (input->host_unreadable && !input->version[0])
		return refuse_no_match(input, work, err);

	*ret_chosen = match_rules_apply(work, ret_rule);
	if (!*ret_chosen) {
		*ret_rule = MATCH_NONE;
		return refuse_no_match(input, work, err);
	}
	if (*ret_rule == MATCH_VERSION &&
	    check_fits(input, (*ret_chosen)->package->version, err) < 0)
		return -1;

	*ret_package = *(*ret_chosen)->package;
	return 0;
}

static bool is_named(const struct match_input *input)
{
	return input->url[0] || input->version[0];
}

/* Whether the driver that is named is the installed one. A file's name may not tell. */
static bool names_installed(const struct match_input *input,
			    const struct package *package)
{
	const char *version = input->url[0] ? package->version : input->version;

	return version[0] && version_compare(version, input->installed) == 0;
}

/*
 * Rule 0: whether the installed driver stays, given what the other rules would take. A
 * wish on the command line is obeyed or fails; a configured one is followed up or down,
 * but only with driver.upgrade; without a wish only what is newer goes before.
 */
static bool installed_stays(const struct match_input *input, int chosen,
			    const struct package *package)
{
	struct error ignored = ERROR_INIT;

	if (!input->installed[0] || !input->installed_fits ||
	    check_fits(input, input->installed, &ignored) < 0)
		return false;
	if (is_named(input) && names_installed(input, package))
		return true;
	if (input->commanded)
		return false;
	if (!input->upgrade || chosen < 0)
		return true;

	return !is_named(input) && package->version[0] &&
	       version_compare(package->version, input->installed) <= 0;
}

/* Only for what the host's version has chosen, and where it is not as hopeless. */
static bool makes_way(const struct match_input *input, enum match_rule rule,
		      const struct match_entry *chosen)
{
	return input->installed_doomed && input->fallback && !is_named(input) && chosen &&
	       rule != MATCH_ONLY && chosen->known.verdict != KNOWN_FAILS &&
	       version_compare(chosen->package->version, input->installed) != 0;
}

/* What a configured wish is called where its version is not known. */
static const char *wish_of(const struct match_input *input, const struct package *package)
{
	if (!input->url[0])
		return input->version;
	return package->version[0] ? package->version : "driver.url";
}

static void warn_of_wish(const struct match_input *input, const struct package *package,
			 const struct error *why, struct match *match)
{
	const char *wish = wish_of(input, package);

	if (names_installed(input, package))
		return;
	/* Without driver.upgrade the repository may not have been asked. */
	if (why->code && (input->upgrade || input->url[0]))
		(void)text_format(match->warning, sizeof(match->warning),
				  "%s is asked for and cannot be had, so the installed "
				  "%s stays: %.120s",
				  wish, input->installed, why->text);
	else
		(void)text_format(match->warning, sizeof(match->warning),
				  "%s is asked for, but the installed %s fits this host "
				  "and stays: driver.upgrade = true would install it",
				  wish, input->installed);
}

/* `why`: of the choice by the other rules, code ERROR_NONE where `package` is theirs. */
static void keep_installed(const struct match_input *input, const struct package *package,
			   const struct error *why, struct match *match)
{
	match->rule = MATCH_INSTALLED;
	(void)text_copy(match->package.version, sizeof(match->package.version),
			input->installed);

	if (is_named(input))
		warn_of_wish(input, package, why, match);
	else if (input->installed_doomed)
		(void)text_format(match->warning, sizeof(match->warning),
				  "the installed %s is known not to compile for the "
				  "running kernel%s",
				  input->installed,
				  input->fallback ? ", and nothing else fits this host"
						  : "; driver.fallback = true would "
						    "install another");
	else if (!why->code && version_compare(package->version, input->installed) > 0)
		(void)text_format(match->warning, sizeof(match->warning),
				  "%s is newer than the installed %s: "
				  "driver.upgrade = true would install it",
				  package->version, input->installed);
}

/* Whether only the repository can tell. */
static bool must_ask(const struct match_input *input)
{
	const struct package none = { .kind = PACKAGE_NONE };

	if (!input->may_ask || input->repository || input->url[0])
		return false;
	return input->again || input->upgrade ||
	       (input->installed_doomed && input->fallback) ||
	       !installed_stays(input, -1, &none);
}

/*
 * Hosts that contradict each other end the choice. A driver that is installed and fits
 * may stay, whatever the repository lacks. The candidates are listed in each case, for
 * plan.
 */
static int decide(const struct match_input *input, struct match *ret_match,
		  struct error *err)
{
	const struct repository *repository = input->repository;
	size_t room =
		1 + (repository ? repository->count + repository->passed_over_count : 0);
	cleanup(match_rules_done) struct match_work work = { .count = 0 };
	const struct match_entry *chosen = NULL;
	struct match match = { .rule = MATCH_NONE };
	enum match_rule rule = MATCH_NONE;
	struct package package = { .kind = PACKAGE_NONE };
	struct error why = ERROR_INIT;
	bool one_host;
	int result;

	*ret_match = match;
	match.candidates = calloc(room, sizeof(*match.candidates));
	if (!match.candidates)
		return error_set_errno(err, ENOMEM, "choosing a driver");
	if (match_rules_prepare(input, &work, err) < 0) {
		match_done(&match);
		return -1;
	}

	one_host = check_one_host(input, &why) == 0;
	result = one_host ? choose(input, &work, &rule, &chosen, &package, &why) : -1;
	if (one_host && installed_stays(input, result, &package) &&
	    !makes_way(input, rule, chosen)) {
		keep_installed(input, &package, &why, &match);
		match.doomed = input->installed_doomed;
		result = 0;
	} else if (result == 0) {
		match.rule = rule;
		match.package = package;
		match.doomed = chosen && chosen->known.verdict == KNOWN_FAILS;
		warn_of_rule(input, &work, chosen, &match);
	} else {
		*err = why;
	}

	list_candidates(input, &work, rule, chosen, &match);
	*ret_match = match;
	return result;
}

int match_decide(const struct match_input *input, struct match *ret_match,
		 struct error *err)
{
	struct match_input again = *input;
	int result;

	if (must_ask(input)) {
		*ret_match = (struct match){ .rule = MATCH_NONE, .ask = true };
		return 0;
	}
	result = decide(input, ret_match, err);
	if (result < 0 || ret_match->rule != MATCH_INSTALLED || !input->again)
		return result;

	again.version = input->installed;
	again.installed = "";
	match_done(ret_match);
	return decide(&again, ret_match, err);
}

struct json *match_candidates_json(const struct match *match)
{
	cleanup_json struct json *array = json_build("[]");

	for (size_t i = 0; array && i < match->count; i++) {
		const struct match_candidate *candidate = &match->candidates[i];
		struct json *item = json_build(
			"{s:o, s:s?, s:b, s:s}", "name", json_words(candidate->name),
			"version", candidate->version[0] ? candidate->version : NULL,
			"accepted", (int)candidate->accepted, "why", candidate->why);

		if (json_append(array, item) < 0)
			return NULL;
	}

	return take_ptr(array);
}
