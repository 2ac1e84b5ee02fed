/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor/findings.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/text.h"
#include "steps/build/build.h"
#include "steps/build/prebuilt.h"
#include "steps/build/sign.h"
#include "steps/detect/denied.h"
#include "steps/detect/diagnose.h"
#include "steps/detect/module_chosen.h"
#include "steps/detect/module_trusted.h"
#include "steps/detect/obstacle.h"
#include "steps/detect/probe.h"
#include "steps/license/gridd_log.h"
#include "steps/license/poll.h"
#include "steps/license/token.h"

#define SMI_TIMEOUT_S 20

static enum doctor_answer answer_of(bool yes)
{
	return yes ? DOCTOR_YES : DOCTOR_NO;
}

static void look_at_gpus(const struct guest *guest, struct doctor_facts *facts)
{
	facts->gpus = guest->gpus.count;
	facts->has_vgpu = gpu_has_vgpu(&guest->gpus);
	(void)text_copy(facts->host, sizeof(facts->host), guest->host.version);
	for (size_t i = 0; i < guest->gpus.count; i++) {
		const struct gpu *gpu = &guest->gpus.gpus[i];

		if (strcmp(gpu->driver, "nouveau") == 0)
			(void)text_copy(facts->nouveau, sizeof(facts->nouveau),
					gpu->address);
		else if (text_starts(gpu->driver, "nova"))
			(void)text_copy(facts->nova, sizeof(facts->nova), gpu->address);
	}
}

static void look_at_denials(const struct root *root, struct doctor_facts *facts)
{
	struct denied denied;

	denied_look(root, 0, &denied);
	if (!denied.by)
		return;
	(void)text_copy(facts->denier, sizeof(facts->denier), denied.by);
	(void)text_copy(facts->denial, sizeof(facts->denial), denied.line);
}

/*
 * Asked only where the driver does not work: dpkg takes its time. A package manager that
 * does not answer names nobody.
 */
static int look_at_obstacles(const struct context *ctx, const struct guest *guest,
			     struct doctor_facts *facts, struct error *err)
{
	struct error why = ERROR_INIT;

	obstacle_bound(&guest->gpus, facts->bound, sizeof(facts->bound));
	obstacle_masked(&ctx->root, facts->masked, sizeof(facts->masked));
	obstacle_read_only(&ctx->root, facts->read_only, sizeof(facts->read_only));
	look_at_denials(&ctx->root, facts);
	if (obstacle_owners(ctx->runner, &ctx->root, facts->owners, sizeof(facts->owners),
			    &why) == 0 ||
	    !why.interrupted)
		return 0;
	*err = why;
	return -1;
}

/* Whether this certificate is the signer's; then what the kernel thinks of its key. */
static bool look_at_signer(const struct context *ctx, const char *cert,
			   const char *module, struct doctor_facts *facts)
{
	const struct sign_key key = { .key = "", .cert = cert };
	struct error ignored = ERROR_INIT;
	enum module_answer trusted;
	struct sign_cert signer;
	bool is_signer = false;

	if (!cert[0] ||
	    sign_is_by(ctx->channel, &ctx->root, &key, module, &is_signer, &ignored) <
		    0 ||
	    !is_signer ||
	    sign_judge(ctx->channel, &ctx->root, &key, &signer, &ignored) < 0)
		return false;
	(void)text_format(facts->signer, sizeof(facts->signer), "%s, key id %s",
			  signer.name, signer.key_id);
	trusted = module_trusted(&ctx->root, signer.key_id);
	facts->is_trusted = trusted == MODULE_UNKNOWN ? DOCTOR_UNKNOWN
						      : answer_of(trusted == MODULE_YES);
	return true;
}

/* Who signs here is who has signed, mostly: signing.key, or DKMS. */
static int look_at_signers(const struct context *ctx, struct doctor_facts *facts,
			   struct error *err)
{
	char module[MODULE_CHOSEN_MAX], cert[256];

	if (facts->enforced != DOCTOR_YES || facts->is_signed != DOCTOR_YES ||
	    facts->loaded[0])
		return 0;
	if (module_chosen(ctx->runner, &ctx->root, facts->release, "filename", module,
			  err) < 0)
		return -1;
	if (!look_at_signer(ctx, ctx->settings.signing.cert, module, facts) &&
	    build_dkms_certificate(&ctx->root, cert, sizeof(cert)))
		(void)look_at_signer(ctx, cert, module, facts);
	return 0;
}

/* How modules may come to this kernel. */
static void look_at_build(const struct context *ctx, const char *release,
			  struct doctor_facts *facts)
{
	char config[PREBUILT_CONFIG_SIZE];

	facts->prebuilt_only = strcmp(ctx->settings.driver.prebuilt, "only") == 0;
	if (prebuilt_check_unprovable(&ctx->root, release, config))
		(void)text_copy(facts->unversioned, sizeof(facts->unversioned), config);
}

static int look_at_modules(const struct context *ctx, const struct guest *guest,
			   struct doctor_facts *facts, struct error *err)
{
	const struct kernel *running = kernel_running(&guest->kernels);
	struct module_enforced enforced = module_enforced(&ctx->root);
	struct diagnose_module module;

	facts->tools = guest->installed.tools;
	facts->gridd_binary = answer_of(guest->installed.grid);
	facts->enforced = enforced.answer == MODULE_UNKNOWN
				  ? DOCTOR_UNKNOWN
				  : answer_of(enforced.answer == MODULE_YES);
	facts->secure_boot = enforced.secure_boot;
	(void)text_copy(facts->enforcer, sizeof(facts->enforcer), enforced.evidence);
	(void)text_copy(facts->module, sizeof(facts->module), guest->installed.version);
	(void)text_copy(facts->loaded, sizeof(facts->loaded), guest->installed.loaded);
	(void)text_copy(facts->driver_version, sizeof(facts->driver_version),
			guest->installed.version);
	if (!running)
		return 0;

	(void)text_copy(facts->release, sizeof(facts->release), running->release);
	if (diagnose_module(ctx->runner, &ctx->root, running->release, &module, err) < 0)
		return -1;
	(void)text_copy(facts->vermagic, sizeof(facts->vermagic), module.vermagic);
	look_at_build(ctx, running->release, facts);
	facts->is_signed = answer_of(module.is_signed);
	if (look_at_signers(ctx, facts, err) < 0)
		return -1;

	for (size_t i = 0; !facts->module[0] && i < guest->kernels.count; i++) {
		const struct kernel *kernel = &guest->kernels.kernels[i];

		if (kernel->running)
			continue;
		if (diagnose_module(ctx->runner, &ctx->root, kernel->release, &module,
				    err) < 0)
			return -1;
		if (module.vermagic[0])
			(void)text_copy(facts->other_kernel, sizeof(facts->other_kernel),
					kernel->release);
	}
	return 0;
}

/* What the driver says is the truth; where it says nothing, the PCI bus must do. */
static int look_at_licenses(const struct context *ctx, const struct guest *guest,
			    struct license_report *report, struct doctor_facts *facts,
			    struct error *err)
{
	int type = ctx->settings.license.feature_type;
	struct error said = ERROR_INIT;

	facts->needs_license = license_is_needed(&guest->gpus, type, ctx->offline);
	if (poll_smi(ctx->runner, &ctx->root, SMI_TIMEOUT_S, report, &said) < 0) {
		if (said.interrupted) {
			*err = said;
			return -1;
		}
		(void)text_format(facts->smi_error, sizeof(facts->smi_error), "%.250s",
				  said.text);
		(void)text_format(facts->smi_hint, sizeof(facts->smi_hint), "%.250s",
				  said.hint);
		return 0;
	}

	(void)text_copy(facts->driver_version, sizeof(facts->driver_version),
			report->driver_version);
	facts->smi_answers = report->count >= guest->gpus.count;
	if (!facts->smi_answers)
		(void)text_format(facts->smi_error, sizeof(facts->smi_error),
				  "nvidia-smi shows %zu of the %zu GPUs on the PCI bus",
				  report->count, guest->gpus.count);
	if (facts->smi_answers && license_check_words(report, type, &said) < 0) {
		facts->smi_answers = false;
		facts->words = true;
		(void)text_format(facts->smi_error, sizeof(facts->smi_error), "%.250s",
				  said.text);
	}
	facts->has_vgpu = license_has_vgpu(report);
	facts->licensed = license_all_held(report, guest->gpus.count, type);
	facts->needs_license = false;
	for (size_t i = 0; i < report->count; i++)
		facts->needs_license |= license_needed(&report->gpus[i], type);
	return 0;
}

static void look_at_gridd(const struct gridd_state *daemon, struct doctor_facts *facts)
{
	struct error ignored = ERROR_INIT;

	facts->unit_exists = answer_of(daemon->exists);
	facts->unit_enabled = answer_of(daemon->enabled);
	facts->unit_active = answer_of(daemon->active);
	facts->unit_failed = answer_of(daemon->failed);
	facts->unit_masked = answer_of(daemon->masked);
	(void)text_copy(facts->unit_detail, sizeof(facts->unit_detail), daemon->detail);
	/* A journal that cannot be read gives no reason: the check says so. */
	if (gridd_log_read(daemon->started, &facts->reason, &ignored) < 0 ||
	    gridd_log_expiry(daemon->started, &facts->last_expiry, &ignored) < 0)
		facts->reason = (struct license_reason){ 0 };
}

static void look_at_conf(const struct root *root, int64_t started,
			 struct doctor_facts *facts, struct doctor_notes *notes)
{
	struct diagnose_conf conf;

	diagnose_conf(root, &conf);
	notes->conf_denied = conf.denied;
	notes->conf_exists = conf.exists;
	if (!conf.denied)
		(void)text_copy(facts->conf_error, sizeof(facts->conf_error), conf.error);
	(void)text_copy(facts->feature_type, sizeof(facts->feature_type),
			conf.feature_type);
	(void)text_copy(facts->token_dir, sizeof(facts->token_dir), conf.token_dir);
	(void)text_copy(facts->proxy, sizeof(facts->proxy), conf.proxy);
	facts->conf_newer = started > 0 && conf.changed > started;
}

static int64_t time_of(const struct json *check, const char *key)
{
	const char *text = json_get_string(check, key);
	int64_t when = 0;

	return text && clock_read(text, &when) ? when : 0;
}

/* Of the problems, times are judged anew and their number is counted elsewhere. */
static void take_problems(const struct json *check, struct doctor_facts *facts)
{
	const struct json *problems = json_get(check, "problems");

	for (size_t i = 0; i < json_count(problems); i++) {
		const struct json *one = json_at(problems, i);
		const char *code = json_get_string(one, "code");
		const char *severity = json_get_string(one, "severity");
		const char *message = json_get_string(one, "message");

		if (!code || !severity || !message)
			continue;
		if (strcmp(severity, "error") == 0 && !facts->token_error[0])
			(void)text_format(facts->token_error, sizeof(facts->token_error),
					  "%.150s", message);
		if (strcmp(code, "bad_signature") == 0)
			(void)text_format(facts->token_warning,
					  sizeof(facts->token_warning), "%.150s",
					  message);
	}
	facts->token_begin = time_of(check, "not_before");
	facts->token_end = time_of(check, "expires");
}

static void look_at_server(const struct context *ctx, const struct json *check,
			   struct doctor_facts *facts)
{
	static const enum doctor_server states[] = {
		[PROBE_UNKNOWN] = DOCTOR_SERVER_UNASKED,
		[PROBE_OPEN] = DOCTOR_SERVER_OPEN,
		[PROBE_REFUSED] = DOCTOR_SERVER_REFUSED,
		[PROBE_FILTERED] = DOCTOR_SERVER_FILTERED,
		[PROBE_UNRESOLVED] = DOCTOR_SERVER_UNRESOLVED,
		[PROBE_TLS] = DOCTOR_SERVER_TLS,
	};
	struct probe_server server;

	if (!token_server_form(check, facts->server_form, sizeof(facts->server_form)))
		return;
	probe_license_clock(check, ctx->channel, &server);
	facts->server = states[server.outcome];
	(void)text_copy(facts->server_detail, sizeof(facts->server_detail),
			server.detail);
	(void)text_copy(facts->server_host, sizeof(facts->server_host), server.host);
	facts->server_port = server.port;
	facts->clock_known = server.clock_known;
	facts->clock_offset = server.offset_s;
}

static void look_at_token(const struct context *ctx, struct doctor_facts *facts,
			  struct doctor_notes *notes, struct json **ret_check)
{
	cleanup_json struct json *check = NULL;
	struct error err = ERROR_INIT;
	cleanup_fd int fd = -1;

	if (token_open_installed(&ctx->root, &fd, &facts->token_count, &err) < 0)
		fd = -1;
	if (fd < 0) {
		char folder[TOKEN_FOLDER_MAX];
		bool bad;

		token_folder(&ctx->root, folder);
		bad = diagnose_token_folder(&ctx->root, folder, &notes->token_denied,
					    facts->token_error,
					    sizeof(facts->token_error));

		if (!notes->token_denied)
			facts->token = bad ? DOCTOR_TOKEN_UNREADABLE
					   : DOCTOR_TOKEN_MISSING;
		return;
	}
	if (token_check(fd, ctx->channel, &check, &err) < 0) {
		facts->token = DOCTOR_TOKEN_UNREADABLE;
		(void)text_format(facts->token_error, sizeof(facts->token_error),
				  "%.150s", err.text);
		return;
	}

	facts->token = DOCTOR_TOKEN_READ;
	take_problems(check, facts);
	if (ret_check)
		*ret_check = take_ptr(check);
}

void findings_of_daemon(const struct context *ctx, const struct gridd_state *daemon,
			struct doctor_facts *facts, struct doctor_notes *notes,
			struct json **ret_check)
{
	if (daemon)
		look_at_gridd(daemon, facts);
	look_at_conf(&ctx->root, daemon ? daemon->started : 0, facts, notes);
	look_at_token(ctx, facts, notes, ret_check);
}

int findings_gather(const struct context *ctx, const struct guest *guest,
		    struct license_report *ret_report, struct doctor_facts *ret_facts,
		    struct doctor_notes *ret_notes, struct error *err)
{
	struct doctor_notes notes = { .clock_synchronized = clock_is_synchronized() };
	struct doctor_facts facts = { .now = clock_now() };
	cleanup_json struct json *check = NULL;
	struct gridd_state daemon = { 0 };
	struct error ignored = ERROR_INIT;

	look_at_gpus(guest, &facts);
	if (look_at_modules(ctx, guest, &facts, err) < 0)
		return -1;
	if (facts.gpus > 0) {
		if (look_at_licenses(ctx, guest, ret_report, &facts, err) < 0 ||
		    (!facts.smi_answers &&
		     look_at_obstacles(ctx, guest, &facts, err) < 0))
			return -1;
		findings_of_daemon(ctx,
				   gridd_look(&daemon, &ignored) == 0 ? &daemon : NULL,
				   &facts, &notes, &check);
		if (facts.smi_answers && facts.unit_failed == DOCTOR_YES)
			look_at_denials(&ctx->root, &facts);
		if (check)
			look_at_server(ctx, check, &facts);
	}

	*ret_facts = facts;
	*ret_notes = notes;
	return 0;
}
