/* SPDX-License-Identifier: Apache-2.0 */
#include "model/driver/match_rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

static bool is_auto(const struct match_input *input)
{
	return strcmp(input->package, "auto") == 0;
}

/* A bundle holds the .run always, and packages from vGPU 14 on. */
static bool kind_is_wanted(const struct match_input *input, enum package_kind kind)
{
	if (kind == PACKAGE_BUNDLE)
		return true;
	if (is_auto(input))
		return kind == PACKAGE_RUN || kind == input->os_kind;
	return strcmp(package_kind_name(kind), input->package) == 0;
}

static void check_usable(const struct match_input *input, struct match_entry *entry)
{
	const struct package *package = entry->package;
	size_t size = sizeof(entry->unusable);

	if (package->cloud)
		(void)text_copy(entry->unusable, size,
				"a cloud's own variant: only by driver.url");
	else if (package->arch[0] && strcmp(package->arch, input->arch) != 0)
		(void)text_format(entry->unusable, size, "for %s, not %s", package->arch,
				  input->arch);
	else if (!kind_is_wanted(input, package->kind) && is_auto(input))
		(void)text_format(entry->unusable, size, "this system takes no .%s",
				  package_kind_name(package->kind));
	else if (!kind_is_wanted(input, package->kind))
		(void)text_format(entry->unusable, size, "driver.package asks for .%s",
				  input->package);
}

/* Every vGPU has a say: the driver is one for all of them. */
static void ask_catalog(const struct match_work *work, struct match_entry *entry)
{
	const struct match_input *input = work->input;
	const struct catalog *catalog = input->repository->catalog;
	bool asked = false;

	entry->verdict = CATALOG_UNKNOWN;
	entry->catalog_why = "there is no catalog";
	if (!catalog || !input->host->version[0])
		return;

	for (size_t i = 0; i < input->gpus->count; i++) {
		const struct gpu *gpu = &input->gpus->gpus[i];
		const struct catalog_host host = { input->host, gpu->device,
						   gpu->subsystem_device, "" };
		enum catalog_verdict verdict;
		const char *why;

		if (gpu->kind != GPU_VGPU)
			continue;
		verdict = catalog_judge(catalog, &host, entry->package->version, &why);
		if (!asked || verdict > entry->verdict) {
			entry->verdict = verdict;
			entry->catalog_why = why;
		}
		asked = true;
	}
}

struct sorted {
	struct match_entry *entry;
};

static int compare_versions(const void *one, const void *other)
{
	const struct sorted *a = one, *b = other;

	return strcmp(a->entry->package->version, b->entry->package->version);
}

/* A version has one answer, and a repository of thousands of files may repeat it. */
static int ask_once_each(const struct match_work *work, struct error *err)
{
	cleanup_free struct sorted *sorted = calloc(work->count + 1, sizeof(*sorted));

	if (!sorted)
		return error_set_errno(err, ENOMEM, "choosing a driver");
	for (size_t i = 0; i < work->count; i++)
		sorted[i].entry = &work->entries[i];
	qsort(sorted, work->count, sizeof(*sorted), compare_versions);
	for (size_t i = 0; i < work->count; i++) {
		struct match_entry *entry = sorted[i].entry;

		if (i > 0 && compare_versions(&sorted[i - 1], &sorted[i]) == 0) {
			entry->verdict = sorted[i - 1].entry->verdict;
			entry->catalog_why = sorted[i - 1].entry->catalog_why;
		} else {
			ask_catalog(work, entry);
		}
	}
	return 0;
}

int match_rules_prepare(const struct match_input *input, struct match_work *ret_work,
			struct error *err)
{
	const struct repository *repository = input->repository;
	struct match_work work = { .input = input, .one_version = true };
	const char *version = NULL;

	if (repository) {
		work.count = repository->count;
		work.entries = calloc(work.count + 1, sizeof(*work.entries));
		if (!work.entries)
			return error_set_errno(err, ENOMEM, "choosing a driver");
	}

	if (known_collect(&input->known, repository ? repository->index : NULL,
			  &work.known, err) < 0) {
		free(work.entries);
		return -1;
	}

	work.host_branch = version_branch(input->host->version);
	for (size_t i = 0; i < work.count; i++) {
		struct match_entry *entry = &work.entries[i];

		entry->package = &repository->packages[i];
		check_usable(input, entry);
		entry->later = work.host_branch != 0 &&
			       version_branch(entry->package->version) > work.host_branch;

		if (entry->unusable[0])
			continue;
		entry->known = known_of(&input->known, &work.known, entry->package);
		if (version && version_compare(version, entry->package->version) != 0)
			work.one_version = false;
		version = entry->package->version;
	}

	if (ask_once_each(&work, err) < 0) {
		match_rules_done(&work);
		return -1;
	}
	*ret_work = work;
	return 0;
}

void match_rules_done(struct match_work *work)
{
	known_done(&work->known);
	free(work->entries);
}

static int branch_of(const struct match_entry *entry)
{
	return version_branch(entry->package->version);
}

static bool takes_version(const struct match_work *work, const struct match_entry *entry)
{
	return version_compare(entry->package->version, work->input->version) == 0;
}

static bool is_for_this_host(const struct match_work *work,
			     const struct match_entry *entry)
{
	const struct package *package = entry->package;

	return package->kind == PACKAGE_BUNDLE && work->host_branch != 0 &&
	       version_compare(package->host_version, work->input->host->version) == 0;
}

static bool takes_bundle(const struct match_work *work, const struct match_entry *entry)
{
	return is_for_this_host(work, entry) && entry->verdict != CATALOG_DENIED;
}

static bool takes_catalog_same(const struct match_work *work,
			       const struct match_entry *entry)
{
	(void)work;
	return entry->verdict == CATALOG_SAME_BRANCH;
}

static bool takes_catalog(const struct match_work *work, const struct match_entry *entry)
{
	(void)work;
	return entry->verdict == CATALOG_ALLOWED;
}

static bool takes_branch(const struct match_work *work, const struct match_entry *entry)
{
	return version_branch_index(work->host_branch) >= 0 &&
	       branch_of(entry) == work->host_branch && entry->verdict != CATALOG_DENIED;
}

static bool takes_previous(const struct match_work *work, const struct match_entry *entry)
{
	int previous = version_branch_previous(work->host_branch);

	return previous != 0 && branch_of(entry) == previous &&
	       entry->verdict != CATALOG_DENIED;
}

static bool takes_previous_lts(const struct match_work *work,
			       const struct match_entry *entry)
{
	int previous = version_branch_previous_lts(work->host_branch);

	return previous != 0 && branch_of(entry) == previous &&
	       entry->verdict != CATALOG_DENIED;
}

/* A record that is malformed or unread is not an absent one. */
static bool host_is_absent(const struct match_input *input)
{
	if (input->host_unreadable || input->host->version[0] || input->gpus->count == 0)
		return false;

	for (size_t i = 0; i < input->gpus->count; i++) {
		if (input->gpus->gpus[i].record != GPU_RECORD_ABSENT)
			return false;
	}

	return true;
}

static bool takes_only(const struct match_work *work, const struct match_entry *entry)
{
	bool unlisted = work->host_branch != 0 &&
			version_branch_index(work->host_branch) < 0;

	(void)entry;
	return work->one_version && (unlisted || host_is_absent(work->input));
}

static const struct {
	enum match_rule rule;
	bool (*takes)(const struct match_work *work, const struct match_entry *entry);
} rules[] = {
	{ MATCH_VERSION, takes_version },
	{ MATCH_BUNDLE, takes_bundle },
	{ MATCH_CATALOG, takes_catalog_same },
	{ MATCH_CATALOG, takes_catalog },
	{ MATCH_BRANCH, takes_branch },
	{ MATCH_PREVIOUS_BRANCH, takes_previous },
	{ MATCH_PREVIOUS_BRANCH, takes_previous_lts },
	{ MATCH_ONLY, takes_only },
};

/* Of one version: what is installed without a detour, and the smaller download. */
static int preference(const struct match_input *input, enum package_kind kind)
{
	if (kind == PACKAGE_BUNDLE)
		return 1;
	return is_auto(input) && kind != PACKAGE_RUN ? 0 : 2;
}

static bool is_better(const struct match_work *work, const struct match_entry *a,
		      const struct match_entry *b)
{
	int order = (int)a->known.verdict - (int)b->known.verdict;

	if (order == 0)
		order = version_compare(a->package->version, b->package->version);
	if (order == 0)
		order = preference(work->input, a->package->kind) -
			preference(work->input, b->package->kind);
	if (order == 0)
		order = strverscmp(a->package->name, b->package->name);

	return order > 0;
}

static const struct match_entry *best_of(const struct match_work *work, size_t rule,
					 bool doomed)
{
	bool named = work->input->version[0] != '\0';
	const struct match_entry *best = NULL;

	for (size_t i = 0; i < work->count; i++) {
		const struct match_entry *entry = &work->entries[i];

		if (entry->unusable[0] || (entry->later && !named) ||
		    (!doomed && entry->known.verdict == KNOWN_FAILS) ||
		    !rules[rule].takes(work, entry))
			continue;
		if (!best || is_better(work, entry, best))
			best = entry;
	}
	return best;
}

const struct match_entry *match_rules_apply(const struct match_work *work,
					    enum match_rule *ret_rule)
{
	bool named = work->input->version[0] != '\0';
	const struct match_entry *best = NULL;

	for (unsigned doomed = named; doomed < 2 && !best; doomed++) {
		for (size_t r = 0; r < ARRAY_SIZE(rules) && !best; r++) {
			/* An operator who names a version gets that or an error. */
			if (named != (rules[r].rule == MATCH_VERSION))
				continue;
			best = best_of(work, r, doomed);
			*ret_rule = rules[r].rule;
		}
	}
	return best;
}

/* What speaks against an entry that the rule did not even consider. */
static void explain_outside(const struct match_work *work,
			    const struct match_entry *entry, enum match_rule rule,
			    char *ret_why, size_t size)
{
	const struct package *package = entry->package;
	int branch = branch_of(entry);

	if (rule == MATCH_VERSION || work->input->version[0])
		(void)text_format(ret_why, size, "not the version asked for, %s",
				  work->input->version);
	else if (work->host_branch == 0)
		(void)text_copy(ret_why, size, "the host's version is not known");
	else if (entry->verdict == CATALOG_DENIED || rule == MATCH_CATALOG)
		(void)text_format(ret_why, size, "NVIDIA's catalog: %s",
				  entry->catalog_why);
	else if (rule == MATCH_BUNDLE && package->kind != PACKAGE_BUNDLE)
		(void)text_copy(ret_why, size, "a bundle made for this host goes first");
	else if (package->kind == PACKAGE_BUNDLE && !is_for_this_host(work, entry))
		(void)text_format(ret_why, size,
				  "its host version %s is not this host's, %s",
				  package->host_version, work->input->host->version);
	else
		(void)text_format(ret_why, size,
				  "its branch %d does not fit the host's, %d", branch,
				  work->host_branch);
}

static bool rule_takes(const struct match_work *work, const struct match_entry *entry,
		       enum match_rule rule)
{
	for (size_t r = 0; r < ARRAY_SIZE(rules); r++) {
		if (rules[r].rule == rule && rules[r].takes(work, entry))
			return true;
	}

	return false;
}

static bool is_fit(const struct match_work *work, const struct match_entry *entry)
{
	for (size_t r = 0; r < ARRAY_SIZE(rules); r++) {
		if (rules[r].rule != MATCH_VERSION && rules[r].takes(work, entry))
			return true;
	}

	return false;
}

/* What is known of the kernels, as the reason; false: the reason is another one. */
static bool explain_known(const struct match_work *work, const struct match_entry *entry,
			  enum match_rule rule, const struct match_entry *chosen,
			  char *ret_why, size_t size)
{
	const struct known *known = &entry->known;

	if (rule == MATCH_VERSION || !is_fit(work, entry))
		return false;
	if (known->verdict == KNOWN_FAILS) {
		(void)text_format(ret_why, size, "%s does not compile for kernel %s%s%s",
				  known->here ? "tried here, it"
					      : "by the repository's index it",
				  known->kernel, known->why[0] ? ": " : "", known->why);
		return true;
	}
	if (!chosen || known->verdict >= chosen->known.verdict ||
	    !rule_takes(work, entry, rule) ||
	    version_compare(entry->package->version, chosen->package->version) <= 0)
		return false;
	(void)text_format(ret_why, size, "not known to compile for kernel %s, as %s is",
			  work->input->known.kernels[0], chosen->package->version);
	return true;
}

/* The highest version that fits the host and is known not to compile; NULL: none. */
const struct match_entry *match_rules_doomed(const struct match_work *work)
{
	const struct match_entry *best = NULL;

	for (size_t i = 0; i < work->count; i++) {
		const struct match_entry *entry = &work->entries[i];

		if (!entry->unusable[0] && !entry->later &&
		    entry->known.verdict == KNOWN_FAILS && is_fit(work, entry) &&
		    (!best || is_better(work, entry, best)))
			best = entry;
	}
	return best;
}

void match_rules_explain(const struct match_work *work, const struct match_entry *entry,
			 enum match_rule rule, const struct match_entry *chosen,
			 char *ret_why, size_t size)
{
	if (entry->unusable[0]) {
		(void)text_copy(ret_why, size, entry->unusable);
	} else if (entry->later && rule != MATCH_VERSION) {
		(void)text_format(ret_why, size,
				  "its branch %d is later than the host's, %d: the vGPU "
				  "would not start",
				  branch_of(entry), work->host_branch);
	} else if (explain_known(work, entry, rule, chosen, ret_why, size)) {
		return;
	} else if (!chosen || !rule_takes(work, entry, rule)) {
		explain_outside(work, entry, rule, ret_why, size);
	} else if (version_compare(entry->package->version, chosen->package->version) ==
		   0) {
		(void)text_copy(ret_why, size, "the same version in another file");
	} else if (version_compare(entry->package->version, chosen->package->version) <
		   0) {
		(void)text_format(ret_why, size, "older than %s",
				  chosen->package->version);
	} else {
		(void)text_copy(ret_why, size,
				"a branch nearer to the host's goes first");
	}
}
