/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/examine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "doctor/findings.h"
#include "steps/layers.h"

#define NEEDS_ROOT "needs root"

struct checks {
	const struct doctor_facts *facts;
	const struct doctor_notes *notes;
	struct json *list;
};

static void add_check(struct checks *checks, const char *name, enum doctor_answer answer,
		      const char *detail)
{
	struct json *ok = answer == DOCTOR_UNKNOWN
				  ? json_build("n")
				  : json_build("b", (int)(answer == DOCTOR_YES));
	struct json *item = json_build("{s:s, s:o, s:o}", "name", name, "ok", ok,
				       "detail", json_words(detail));

	if (checks->list && json_append(checks->list, item) < 0) {
		json_free(checks->list);
		checks->list = NULL;
	}
}

static enum doctor_answer answer_of(bool yes)
{
	return yes ? DOCTOR_YES : DOCTOR_NO;
}

static void check_gpu(struct checks *checks)
{
	const struct doctor_facts *facts = checks->facts;
	bool bound = facts->nouveau[0] || facts->nova[0];
	char detail[128];

	(void)text_format(detail, sizeof(detail), "%zu NVIDIA GPU%s on the PCI bus%s",
			  facts->gpus, facts->gpus == 1 ? "" : "s",
			  facts->has_vgpu ? ", vGPU" : "");
	add_check(checks, "gpu", answer_of(facts->gpus > 0), detail);
	add_check(checks, "nouveau",
		  facts->gpus == 0 ? DOCTOR_UNKNOWN : answer_of(!bound),
		  facts->nouveau[0] ? "nouveau is bound"
		  : facts->nova[0]  ? "nova is bound"
				    : "not bound");
}

static void check_modules(struct checks *checks)
{
	const struct doctor_facts *facts = checks->facts;
	bool fits = facts->module[0] && strcmp(facts->vermagic, facts->release) == 0;
	char detail[256];

	(void)text_format(detail, sizeof(detail), "nvidia %s for kernel %s",
			  facts->module[0] ? facts->module : "is not there",
			  facts->release);
	add_check(checks, "module", answer_of(fits), detail);
	add_check(checks, "module_loaded", answer_of(facts->loaded[0] != '\0'),
		  facts->loaded[0] ? facts->loaded : "not loaded");
	add_check(checks, "secure_boot",
		  facts->enforced == DOCTOR_UNKNOWN ? DOCTOR_UNKNOWN
		  : facts->enforced == DOCTOR_NO    ? DOCTOR_YES
						    : facts->is_signed,
		  facts->enforcer);
}

static void check_driver(struct checks *checks)
{
	const struct doctor_facts *facts = checks->facts;
	const char *version = facts->driver_version;
	bool known = facts->host[0] && version[0];
	char detail[128];

	(void)text_format(detail, sizeof(detail), "host %s, guest %s", facts->host,
			  version);
	add_check(
		checks, "host_version",
		known ? answer_of(version_branch(version) <= version_branch(facts->host))
		      : DOCTOR_UNKNOWN,
		known            ? detail
		: geteuid() != 0 ? NEEDS_ROOT
				 : "not known");
	add_check(checks, "nvidia_smi",
		  facts->gpus == 0 ? DOCTOR_UNKNOWN : answer_of(facts->smi_answers),
		  facts->smi_answers ? version
		  : facts->gpus == 0 ? "not asked: no GPU"
				     : facts->smi_error);
	add_check(checks, "license",
		  facts->smi_answers ? answer_of(facts->licensed) : DOCTOR_UNKNOWN,
		  !facts->smi_answers     ? "not known"
		  : !facts->needs_license ? "not needed"
		  : facts->licensed       ? "licensed"
					  : "not licensed");
}

static void check_gridd(struct checks *checks)
{
	const struct doctor_facts *facts = checks->facts;
	const struct doctor_notes *notes = checks->notes;
	char detail[320];

	add_check(checks, "gridd",
		  facts->unit_exists == DOCTOR_YES ? facts->unit_active
						   : facts->unit_exists,
		  facts->unit_detail[0] ? facts->unit_detail
					: "systemd could not be asked");
	add_check(checks, "gridd_enabled",
		  facts->unit_exists == DOCTOR_YES ? facts->unit_enabled : DOCTOR_UNKNOWN,
		  facts->unit_exists != DOCTOR_YES    ? "not known"
		  : facts->unit_enabled == DOCTOR_YES ? "starts at boot"
						      : "does not start at boot");
	add_check(checks, "gridd_log",
		  facts->reason.code ? DOCTOR_NO
		  : geteuid() != 0   ? DOCTOR_UNKNOWN
				     : DOCTOR_YES,
		  facts->reason.code ? facts->reason.message
		  : geteuid() != 0   ? NEEDS_ROOT " or the group systemd-journal"
				     : "no complaint since its start");

	(void)text_format(detail, sizeof(detail), "FeatureType %s",
			  facts->feature_type[0] ? facts->feature_type : "not set");
	add_check(checks, "gridd_conf",
		  notes->conf_denied || !notes->conf_exists
			  ? DOCTOR_UNKNOWN
			  : answer_of(!facts->conf_error[0]),
		  notes->conf_denied     ? NEEDS_ROOT
		  : !notes->conf_exists  ? "there is none"
		  : facts->conf_error[0] ? facts->conf_error
					 : detail);
}

static void check_token(struct checks *checks)
{
	const struct doctor_facts *facts = checks->facts;
	bool read = facts->token == DOCTOR_TOKEN_READ;
	bool expired = facts->token_end > 0 && facts->now >= facts->token_end;
	bool early = facts->token_begin > 0 && facts->now < facts->token_begin;
	bool good = read && !facts->token_error[0] && !facts->token_warning[0] &&
		    !expired && !early && facts->token_count == 1;

	add_check(checks, "token",
		  facts->token == DOCTOR_TOKEN_UNASKED ? DOCTOR_UNKNOWN : answer_of(good),
		  checks->notes->token_denied            ? NEEDS_ROOT
		  : facts->token == DOCTOR_TOKEN_UNASKED ? "not asked"
		  : facts->token == DOCTOR_TOKEN_MISSING ? "there is none"
		  : facts->token_error[0]                ? facts->token_error
		  : facts->token_warning[0]              ? facts->token_warning
		  : expired                              ? "expired by this guest's clock"
		  : early                  ? "not yet valid by this guest's clock"
		  : facts->token_count > 1 ? "there are several"
					   : "can be read and is in its time");
}

static void check_server(struct checks *checks)
{
	const struct doctor_facts *facts = checks->facts;
	long long off = (long long)facts->clock_offset;
	bool right = off <= DOCTOR_CLOCK_OFF_S && off >= -DOCTOR_CLOCK_OFF_S;
	char detail[128];

	add_check(checks, "license_server",
		  facts->server == DOCTOR_SERVER_UNASKED
			  ? DOCTOR_UNKNOWN
			  : answer_of(facts->server == DOCTOR_SERVER_OPEN),
		  facts->server_detail[0]
			  ? facts->server_detail
			  : "not asked: there is no token that names one");

	(void)text_format(detail, sizeof(detail), "%+lld s to the license server's", off);
	if (facts->clock_known)
		add_check(checks, "clock", answer_of(right), detail);
	else
		add_check(
			checks, "clock", DOCTOR_UNKNOWN,
			checks->notes->clock_synchronized
				? "synchronised; the license server's is not known"
				: "not known to be synchronised, nor the license server's");
}

static void check_worker(struct checks *checks, const struct channel *channel)
{
	struct error why = ERROR_INIT;
	enum layers_state state = LAYERS_NONE;
	char words[256];

	if (layers_ask(channel, &state, words, sizeof(words), &why) < 0)
		add_check(checks, "worker", DOCTOR_NO, why.text);
	else
		add_check(checks, "worker",
			  state == LAYERS_ALL || state == LAYERS_NONE ? DOCTOR_YES
			  : state == LAYERS_KERNEL                    ? DOCTOR_UNKNOWN
								      : DOCTOR_NO,
			  words);
}

/* Also where another driver works by now: the one that fits better is not here. */
static void check_builds(struct checks *checks, const struct builds *builds)
{
	const char *release = checks->facts->release;

	for (size_t i = 0; i < builds->count; i++) {
		const struct known_build *build = &builds->list[i];
		char detail[384];

		if (build->ok || strcmp(build->kernel, release) != 0)
			continue;
		(void)text_format(detail, sizeof(detail),
				  "driver %s does not compile for kernel %s: %s",
				  build->version, release, build->why);
		add_check(checks, "build", DOCTOR_NO, detail);
	}
}

static struct json *list_checks(const struct doctor_facts *facts,
				const struct doctor_notes *notes,
				const struct channel *channel,
				const struct builds *builds)
{
	struct checks checks = { facts, notes, json_build("[]") };

	check_gpu(&checks);
	check_modules(&checks);
	check_builds(&checks, builds);
	check_driver(&checks);
	check_gridd(&checks);
	check_token(&checks);
	check_server(&checks);
	check_worker(&checks, channel);
	return checks.list;
}

static void note_failed_run(const struct state *state, struct doctor_facts *facts)
{
	struct state_failure failure;

	if (!state_failed(state, &failure))
		return;
	(void)text_copy(facts->failed_step, sizeof(facts->failed_step), failure.step);
	(void)text_copy(facts->failed, sizeof(facts->failed), failure.message);
	(void)text_copy(facts->failed_hint, sizeof(facts->failed_hint), failure.hint);
}

int examine_guest(const struct context *ctx, const struct guest *guest,
		  const struct state *state, struct json **ret_report, struct error *err)
{
	cleanup_free struct doctor_causes *causes = calloc(1, sizeof(*causes));
	cleanup_free struct license_report *report = calloc(1, sizeof(*report));
	struct doctor_notes notes;
	struct doctor_facts facts;
	enum error_code status;

	if (!causes || !report)
		return error_set_errno(err, ENOMEM, "examining");
	if (findings_gather(ctx, guest, report, &facts, &notes, err) < 0)
		return -1;
	note_failed_run(state, &facts);

	doctor_decide(&facts, causes);
	*ret_report = json_build(
		"{s:i, s:o, s:o}", "schema", 1, "causes", doctor_causes_json(causes),
		"checks", list_checks(&facts, &notes, ctx->channel, &state->builds));
	if (!*ret_report)
		return error_set_errno(err, ENOMEM, "reporting the causes");

	status = doctor_status(&facts, causes);
	if (status == ERROR_NONE)
		return 0;
	(void)error_set(err, status, "%s", causes->list[0].message);
	return error_hint(err, "%s", causes->list[0].hint);
}
