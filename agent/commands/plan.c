/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/plan.h"

#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "commands/preflight.h"
#include "core/guest.h"
#include "driver/choose.h"
#include "driver/modules_prebuilt.h"
#include "driver/obtain.h"
#include "model/dkms.h"
#include "model/paths.h"
#include "model/url.h"
#include "steps/configure.h"
#include "steps/install.h"

struct plan {
	struct agent *agent;
	struct error match; /* why no driver was chosen; code ERROR_NONE: one was */
	struct error fetch; /* why it may not be fetched */
	char url[SETTINGS_URL_MAX + 3 * PACKAGE_NAME_MAX];
	struct fetch_input input;
};

/* What stops the plan itself, in the contract's words. */
static bool stops_plan(enum error_code code)
{
	switch ((int)code) {
	case ERROR_INTERNAL:
	case ERROR_USAGE:
	case ERROR_NO_GPU:
	case ERROR_NETWORK:
	case ERROR_INTEGRITY:
	case ERROR_PERMISSION:
		return true;
	default:
		return false;
	}
}

static struct json *text_or_null(const char *text)
{
	return text[0] ? json_text(text, strlen(text)) : json_build("n");
}

/* What will be installed: of a bundle its .run, unless that is not wanted. */
static struct json *kind_json(const struct match *match)
{
	enum package_kind kind = match->package.kind;

	if (match->rule == MATCH_INSTALLED || kind == PACKAGE_NONE)
		return json_build("n");
	return json_build("s",
			  package_kind_name(kind == PACKAGE_BUNDLE ? PACKAGE_RUN : kind));
}

/* Of a member without an index nobody has asked the server yet how large it is. */
static struct json *bytes_json(const struct plan *plan, enum transfer transfer)
{
	const struct index_member *entry = plan->input.entry;
	uint64_t bytes = transfer == TRANSFER_WHOLE ? plan->agent->match.package.size
			 : entry                    ? entry->compressed_size
						    : 0;

	if (transfer == TRANSFER_LOCAL)
		return json_build("i", 0);
	return bytes ? json_build("I", (int64_t)bytes) : json_build("n");
}

static int add_transfer(const struct plan *plan, struct json *driver)
{
	const struct fetch_input *input = &plan->input;
	bool known = input->url != NULL;
	enum transfer transfer = known ? fetch_transfer(input) : TRANSFER_LOCAL;

	if (json_set(driver, "member",
		     known && input->entry ? text_or_null(input->entry->name)
					   : json_build("n")) < 0 ||
	    json_set(driver, "integrity",
		     known ? json_build("s", fetch_integrity_name(fetch_foresee(input)))
			   : json_build("n")) < 0 ||
	    json_set(driver, "transfer",
		     known ? json_build("s", transfer_name(transfer)) : json_build("n")) <
		    0)
		return -1;
	return json_set(driver, "bytes", bytes_json(plan, transfer));
}

static struct json *driver_json(struct plan *plan)
{
	const struct match *match = &plan->agent->match;
	const struct package *package = &match->package;
	bool fetched = match->rule != MATCH_INSTALLED;
	char shown[SETTINGS_URL_MAX];
	struct json *driver;

	if (match->rule == MATCH_NONE)
		return json_build("n");

	(void)url_redact(plan->url, shown, sizeof(shown));
	driver = json_build("{s:o, s:o, s:s, s:o, s:o, s:o}", "version",
			    text_or_null(package->version), "kind", kind_json(match),
			    "rule", match_rule_name(match->rule), "url",
			    text_or_null(fetched ? shown : ""), "size",
			    package->size ? json_build("I", (int64_t)package->size)
					  : json_build("n"),
			    "sha256", text_or_null(package->sha256));
	if (driver && add_transfer(plan, driver) < 0) {
		json_free(driver);
		return NULL;
	}
	return driver;
}

static struct json *kernels_json(const struct agent *agent)
{
	struct json *list = json_build("[]");

	for (size_t i = 0; list && i < agent->target_count; i++) {
		const char *release = agent->targets[i].release;

		if (json_append(list,
				json_build("{s:s, s:s}", "release", release, "action",
					   agent->target_done[i] ? "none"
					   : modules_prebuilt_listed(agent, release)
						   ? "prebuilt"
						   : "build")) < 0) {
			json_free(list);
			return NULL;
		}
	}
	return list;
}

static int add_change(struct json *list, const char *path, const char *detail)
{
	return json_append(list, json_build("{s:s, s:o}", "path", path, "detail",
					    json_text(detail, strlen(detail))));
}

static struct json *changes_json(struct plan *plan)
{
	struct agent *agent = plan->agent;
	cleanup_json struct json *list = json_build("[]");
	struct error ignored = ERROR_INIT;
	struct configure_result conf;
	bool dkms = choose_dkms(agent), any = false;
	char path[256];

	if (!list)
		return NULL;
	if (agent->match.rule != MATCH_NONE && agent->match.rule != MATCH_INSTALLED &&
	    add_change(list, "/usr", "the driver's user space, by its own installer") < 0)
		return NULL;
	for (size_t i = 0; i < agent->target_count; i++) {
		if (agent->target_done[i] || agent->match.rule == MATCH_NONE)
			continue;
		(void)text_format(path, sizeof(path), "/lib/modules/%s/updates/%s/",
				  agent->targets[i].release,
				  dkms ? "dkms" : "vgpu-guest-agent");
		if (add_change(list, path,
			       dkms ? "the kernel modules, by DKMS"
				    : "the kernel modules") < 0)
			return NULL;
		any = true;
	}
	(void)text_format(path, sizeof(path), PATHS_DKMS_SOURCES "%s/",
			  agent->match.package.version[0] ? agent->match.package.version
							  : "VERSION");
	if (dkms && any &&
	    add_change(list, path, "the modules' sources, registered with DKMS") < 0)
		return NULL;
	if (configure_gridd(&agent->settings.license, &agent->root, true, &conf,
			    &ignored) == 0 &&
	    conf.changed && add_change(list, PATHS_GRIDD_CONF, conf.detail) < 0)
		return NULL;
	return take_ptr(list);
}

static struct json *report_json(struct plan *plan)
{
	struct agent *agent = plan->agent;
	enum error_code would_fail = ERROR_NONE;
	struct json *checks = command_preflight(
		agent, plan->match.code ? &plan->match : NULL, &would_fail);

	if (would_fail == ERROR_NONE)
		would_fail = plan->fetch.code;
	return json_build(
		"{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "schema", 1, "host_driver",
		gpu_host_json(&agent->host), "driver", driver_json(plan), "candidates",
		match_candidates_json(&agent->match), "kernels", kernels_json(agent),
		"checks", checks, "changes", changes_json(plan), "would_fail",
		would_fail ? json_build("i", (int)would_fail) : json_build("n"));
}

static int survey(struct agent *agent, struct error *err)
{
	struct outcome metadata = { .step = "metadata" };

	agent->step = "detect";
	if (guest_look(agent, err) < 0)
		return -1;
	if (!agent->offline && agent->gpus.count == 0)
		return error_set(err, ERROR_NO_GPU, "no NVIDIA GPU on the PCI bus");
	if (agent->offline)
		return 0;
	agent->step = "metadata";
	return guest_metadata(agent, &metadata, err);
}

static int decide(struct plan *plan, struct error *err)
{
	struct agent *agent = plan->agent;
	char warning[256] = "";

	agent->step = "match";
	if (choose_driver(agent, true, warning, sizeof(warning), &plan->match) < 0) {
		if (plan->match.interrupted || stops_plan(plan->match.code))
			*err = plan->match;
		return stops_plan(plan->match.code) ? -1 : 0;
	}
	plan->match = ERROR_INIT;
	if (warning[0])
		log_line(LOG_LEVEL_WARNING, "warning: match: %s", warning);
	if (agent->match.warning[0])
		log_line(LOG_LEVEL_WARNING, "warning: match: %s", agent->match.warning);
	if (choose_look_at_targets(agent, agent->match.package.version, err) < 0)
		return -1;

	agent->step = "fetch";
	if (agent->match.rule == MATCH_INSTALLED)
		return 0;
	if (obtain_fetch_input(agent, plan->url, sizeof(plan->url), &plan->input, err) <
	    0)
		return -1;
	if (fetch_check(&plan->input, &plan->fetch) < 0)
		*err = plan->fetch;
	return plan->fetch.code ? -1 : 0;
}

int command_plan(struct agent *agent, struct json **ret_report, struct error *err)
{
	struct plan plan = { .agent = agent, .match = ERROR_INIT, .fetch = ERROR_INIT };
	int result;

	/* Of what run ends with plan has no 7: a kernel that is not there is a wrong
	 * name. */
	if (survey(agent, err) < 0)
		return err->code == ERROR_PREREQUISITES ? error_recode(err, ERROR_USAGE)
							: -1;

	result = decide(&plan, err);
	*ret_report = report_json(&plan);
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "reporting the plan");
	return result;
}

int command_detect(struct agent *agent, struct json **ret_report, struct error *err)
{
	if (guest_look(agent, err) < 0)
		return -1;

	*ret_report = json_build("{s:i, s:o, s:o, s:o}", "schema", 1, "gpus",
				 gpu_list_json(&agent->gpus), "os",
				 kernel_os_json(&agent->os), "kernels",
				 kernel_list_json(&agent->kernels));
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "reporting what is here");
	if (!agent->offline && agent->gpus.count == 0)
		return error_set(err, ERROR_NO_GPU, "no NVIDIA GPU on the PCI bus");
	return 0;
}
