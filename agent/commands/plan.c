/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/plan.h"

#include <errno.h>

#include "base/log.h"
#include "base/text.h"
#include "commands/commands.h"
#include "commands/preflight.h"
#include "commands/run.h"
#include "driver/choose.h"
#include "driver/modules_prebuilt.h"
#include "driver/obtain.h"
#include "model/kernel/dkms.h"
#include "model/paths.h"
#include "model/url.h"
#include "steps/install/install.h"
#include "steps/license/configure.h"

struct plan {
	const struct context *ctx;
	const struct repository *repository;
	const struct work *work;
	struct error match; /* why no driver was chosen; code ERROR_NONE: one was */
	struct error fetch; /* why it may not be fetched */
	struct obtain_request request; /* url "": nothing is to be fetched */
	struct json *unasked;          /* what could not be asked, and why */
};

/* A person waits: each server gets one chance, and a short one. */
#define CONNECT_S 5
#define STALL_S 20
#define METADATA_S 5

static bool is_supposed(const struct plan *plan)
{
	return plan->ctx->job == JOB_SUPPOSED;
}

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
	const struct index_member *entry = plan->request.input.entry;
	uint64_t bytes = transfer == TRANSFER_WHOLE ? plan->work->match.package.size
			 : entry                    ? entry->compressed_size
						    : 0;

	if (transfer == TRANSFER_LOCAL)
		return json_build("i", 0);
	return bytes ? json_build("I", (int64_t)bytes) : json_build("n");
}

static int add_transfer(const struct plan *plan, struct json *driver)
{
	const struct fetch_input *input = &plan->request.input;
	bool known = plan->request.url[0] != '\0';
	enum transfer transfer = known ? fetch_transfer(input) : TRANSFER_LOCAL;

	if (json_set(driver, "member",
		     known && input->entry ? json_words_or_null(input->entry->name)
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

static struct json *driver_json(const struct plan *plan)
{
	const struct match *match = &plan->work->match;
	const struct package *package = plan->request.url[0] ? &plan->request.package
							     : &match->package;
	char shown[SETTINGS_URL_MAX];
	struct json *driver;

	if (match->rule == MATCH_NONE)
		return json_build("n");

	(void)url_redact(plan->request.url, shown, sizeof(shown));
	driver = json_build(
		"{s:o, s:o, s:s, s:o, s:o, s:o}", "version",
		json_words_or_null(package->version), "kind", kind_json(match), "rule",
		match_rule_name(match->rule), "url", json_words_or_null(shown), "size",
		package->size ? json_build("I", (int64_t)package->size) : json_build("n"),
		"sha256", json_words_or_null(package->sha256));
	if (driver && add_transfer(plan, driver) < 0) {
		json_free(driver);
		return NULL;
	}
	return driver;
}

static struct json *kernels_json(const struct plan *plan)
{
	const struct work *work = plan->work;
	struct json *list = json_build("[]");

	for (size_t i = 0; list && i < work->target_count; i++) {
		const struct target *target = &work->targets[i];
		const char *action = target->done ? "none"
				     : modules_prebuilt_listed(plan->ctx,
							       plan->repository, work,
							       target->kernel.release)
					     ? "prebuilt"
					     : "build";

		if (json_append(list, json_build("{s:s, s:s}", "release",
						 target->kernel.release, "action",
						 action)) < 0) {
			json_free(list);
			return NULL;
		}
	}
	return list;
}

static int add_change(struct json *list, const char *path, const char *detail)
{
	return json_append(list, json_build("{s:s, s:o}", "path", path, "detail",
					    json_words(detail)));
}

/* The folders that get modules, and DKMS's sources of them. */
static int add_module_changes(const struct work *work, struct json *list)
{
	const char *version = work->driver.version;
	bool dkms = work_by_dkms(work), any = false;
	char path[256];

	for (size_t i = 0; i < work->target_count; i++) {
		if (work->targets[i].done || work->match.rule == MATCH_NONE)
			continue;
		text_path(path, sizeof(path), "/lib/modules/%s/updates/%s/",
			  work->targets[i].kernel.release,
			  dkms ? "dkms" : "vgpu-guest-agent");
		if (add_change(list, path,
			       dkms ? "the kernel modules, by DKMS"
				    : "the kernel modules") < 0)
			return -1;
		any = true;
	}
	text_path(path, sizeof(path), PATHS_DKMS_SOURCES "%s/",
		  version[0] ? version : "VERSION");
	return dkms && any ? add_change(list, path,
					"the modules' sources, registered with DKMS")
			   : 0;
}

static struct json *changes_json(const struct plan *plan)
{
	const struct context *ctx = plan->ctx;
	cleanup_json struct json *list = json_build("[]");
	enum match_rule rule = plan->work->match.rule;
	struct error ignored = ERROR_INIT;
	struct configure_result conf;

	if (!list)
		return NULL;
	if (rule != MATCH_NONE && rule != MATCH_INSTALLED &&
	    add_change(list, "/usr", "the driver's user space, by its own installer") < 0)
		return NULL;
	if (add_module_changes(plan->work, list) < 0)
		return NULL;
	if (!is_supposed(plan) &&
	    configure_gridd(&ctx->settings.license, &ctx->root, true, &conf, &ignored) ==
		    0 &&
	    conf.changed && add_change(list, PATHS_GRIDD_CONF, conf.detail) < 0)
		return NULL;
	return take_ptr(list);
}

/* What "install --previous" would put back. */
static struct json *previous_json(const struct plan *plan, const struct state *state)
{
	const struct driver *previous =
		is_supposed(plan) ? NULL : choose_kept_previous(plan->ctx, state);

	return previous ? json_build("{s:s}", "version", previous->version)
			: json_build("n");
}

static struct json *report_json(const struct plan *plan, const struct agent *agent)
{
	const struct preflight preflight = { .ctx = plan->ctx,
					     .guest = &agent->guest,
					     .state = &agent->state,
					     .repository = plan->repository,
					     .work = plan->work,
					     .metadata = &agent->metadata,
					     .lease = &agent->lease };
	struct error failure = ERROR_INIT;
	struct json *checks = command_preflight(
		&preflight, plan->match.code ? &plan->match : NULL, &failure);

	if (failure.code == ERROR_NONE)
		failure = plan->fetch;
	return json_build(
		"{s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:o, s:o}", "schema", 1,
		"host_driver", gpu_host_json(&agent->guest.host), "driver",
		driver_json(plan), "previous", previous_json(plan, &agent->state),
		"candidates", match_candidates_json(&plan->work->match), "kernels",
		kernels_json(plan), "checks", checks, "changes", changes_json(plan),
		"unasked", plan->unasked, "would_fail",
		failure.code ? json_build("i", (int)failure.code) : json_build("n"),
		"hint", json_words_or_null(failure.hint));
}

static int no_memory(struct error *err)
{
	return error_set_errno(err, ENOMEM, "reporting the plan");
}

static int add_unasked(struct plan *plan, const char *what, const char *why,
		       struct error *err)
{
	return json_append(plan->unasked, json_build("{s:s, s:o}", "what", what, "why",
						     json_words(why))) < 0
		       ? no_memory(err)
		       : 0;
}

static void at_most(int *value, int limit)
{
	if (*value > limit)
		*value = limit;
}

static int look_at_metadata(struct plan *plan, struct agent *agent, struct error *err)
{
	struct outcome metadata = { .step = "metadata" };

	agent->tools.step = "metadata";
	at_most(&agent->context.settings.metadata.timeout, METADATA_S);
	if (command_run_metadata(agent, &metadata, err) < 0)
		return -1;
	return agent->metadata.silent ? add_unasked(plan, "metadata",
						    "the metadata service is silent", err)
				      : 0;
}

static int look(struct plan *plan, struct agent *agent, struct error *err)
{
	const struct context *ctx = plan->ctx;

	agent->tools.step = "detect";
	if (guest_look(ctx, &agent->guest, err) < 0 ||
	    guest_need_gpu(ctx, &agent->guest, err) < 0)
		return -1;
	guest_adopt_feature_type(ctx, &agent->guest, &agent->context.settings);
	return ctx->offline ? 0 : look_at_metadata(plan, agent, err);
}

/* Nothing of this machine counts but its configuration and its kind of system. */
static int suppose(struct agent *agent, struct error *err)
{
	struct context *context = &agent->context;

	agent->tools.step = "detect";
	context->job = JOB_SUPPOSED;
	context->offline = true;
	return guest_suppose(context, context->options->host_version, &agent->guest, err);
}

/* A repository that was needed is the plan's error, and one that was not a warning. */
static int tell_repository(struct plan *plan, const struct agent *agent,
			   struct error *err)
{
	const struct settings_driver *driver = &plan->ctx->settings.driver;
	const struct repository *repository = plan->repository;

	if (plan->match.code == ERROR_NETWORK)
		return add_unasked(plan, "repository", plan->match.text, err);
	if (driver->repository[0] && !driver->url[0] && !plan->match.code &&
	    repository->source == REPOSITORY_NONE)
		return add_unasked(plan, "repository", plan->work->match.warning, err);
	if (is_supposed(plan) && repository->catalog &&
	    agent->guest.gpus.gpus[0].device == 0)
		return add_unasked(plan, "catalog",
				   "what it says of a type of GPU; --sysfs DIR names a "
				   "guest's PCI tree",
				   err);
	return 0;
}

/* As the step does, but the repository is asked in any case, and why nothing was chosen
 * is a part of the plan. */
static int choose(struct plan *plan, struct agent *agent, struct error *err)
{
	const struct context *ctx = plan->ctx;
	struct work *work = &agent->work;

	agent->tools.step = "match";
	if (choose_driver(ctx, &agent->state, &agent->repository, true, work,
			  &plan->match) < 0) {
		if (plan->match.interrupted || stops_plan(plan->match.code))
			*err = plan->match;
		return stops_plan(plan->match.code) ? -1 : 0;
	}
	plan->match = ERROR_INIT;
	if (work->match.warning[0])
		log_line(LOG_LEVEL_WARNING, "warning: match: %s", work->match.warning);
	if (!is_supposed(plan) &&
	    work_look_at_targets(ctx, &agent->guest.installed, work->driver.version, work,
				 err) < 0)
		return -1;

	agent->tools.step = "fetch";
	if (work_keeps_installed(work))
		return 0;
	if (obtain_prepare(ctx, &agent->repository, work, &plan->request, err) < 0)
		return -1;
	if (fetch_check(&plan->request.input, &plan->fetch) < 0)
		*err = plan->fetch;
	return plan->fetch.code ? -1 : 0;
}

/* With a report on failure, too, where the guest is known. */
static int make_plan(struct plan *plan, struct agent *agent, struct json **ret_report,
		     struct error *err)
{
	struct settings_http *http = &agent->context.settings.http;
	struct error second = ERROR_INIT;
	int result;

	/* Of what run ends with plan has no 7: a kernel that is not there is a wrong
	 * name. */
	if ((plan->ctx->options->host_version ? suppose(agent, err)
					      : look(plan, agent, err)) < 0)
		return err->code == ERROR_PREREQUISITES ? error_recode(err, ERROR_USAGE)
							: -1;

	work_begin(plan->ctx, &agent->guest, &agent->work);
	http->retries = 0;
	at_most(&http->connect_timeout, CONNECT_S);
	at_most(&http->stall_timeout, STALL_S);
	result = choose(plan, agent, err);
	if (tell_repository(plan, agent, result < 0 ? &second : err) < 0)
		result = -1;
	*ret_report = report_json(plan, agent);
	return *ret_report ? result : no_memory(err);
}

int command_plan(struct agent *agent, const struct request *request,
		 struct json **ret_report, struct error *err)
{
	struct plan plan = { .ctx = &agent->context,
			     .repository = &agent->repository,
			     .work = &agent->work,
			     .match = ERROR_INIT,
			     .fetch = ERROR_INIT,
			     .unasked = json_build("[]") };
	int result;

	(void)request;
	if (!plan.unasked)
		return no_memory(err);
	result = make_plan(&plan, agent, ret_report, err);
	json_free(plan.unasked);
	return result;
}

struct json *command_plan_guest(const struct guest *guest)
{
	return json_build("{s:i, s:o, s:o, s:o}", "schema", 1, "gpus",
			  gpu_list_json(&guest->gpus), "os", kernel_os_json(&guest->os),
			  "kernels", kernel_list_json(&guest->kernels));
}

int command_plan_detect(struct agent *agent, const struct request *request,
			struct json **ret_report, struct error *err)
{
	(void)request;
	if (guest_look(&agent->context, &agent->guest, err) < 0)
		return -1;
	*ret_report = command_plan_guest(&agent->guest);
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "reporting what is here");
	return guest_need_gpu(&agent->context, &agent->guest, err);
}
