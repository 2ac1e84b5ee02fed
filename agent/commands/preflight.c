/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/preflight.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/statvfs.h>

#include "base/clock.h"
#include "base/manager.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/modules_prebuilt.h"
#include "driver/signing.h"
#include "license/which_token.h"
#include "model/paths.h"
#include "steps/detect/module_enforced.h"
#include "steps/detect/probe.h"
#include "steps/detect/toolchain.h"
#include "steps/license/token.h"

enum verdict { VERDICT_NO, VERDICT_YES, VERDICT_UNKNOWN };

struct checks {
	const struct preflight *of;
	struct json *list;
	struct error failure; /* of the first check that a run would die of */
	struct error signer;  /* why nobody can sign the modules */
};

static void add_check(struct checks *checks, const char *name, enum verdict verdict,
		      enum error_code code, const char *detail)
{
	struct json *ok = verdict == VERDICT_UNKNOWN
				  ? json_build("n")
				  : json_build("b", verdict == VERDICT_YES);
	struct json *item = json_build("{s:s, s:o, s:o}", "name", name, "ok", ok,
				       "detail", json_words(detail));

	if (checks->list && json_append(checks->list, item) < 0) {
		json_free(checks->list);
		checks->list = NULL;
	}
	/* The first thing that would stop a run is what it would die of. */
	if (verdict == VERDICT_NO && checks->failure.code == ERROR_NONE)
		checks->failure.code = code;
}

/* A check that failed with an error, whose hint says what would mend it. */
static void add_refusal(struct checks *checks, const char *name, const struct error *why)
{
	if (checks->failure.code == ERROR_NONE)
		checks->failure = *why;
	add_check(checks, name, VERDICT_NO, why->code, why->text);
}

static void check_gpu(struct checks *checks)
{
	const struct gpu_list *gpus = &checks->of->guest->gpus;
	char detail[96];

	(void)text_format(detail, sizeof(detail), "%zu NVIDIA GPU%s on the PCI bus",
			  gpus->count, gpus->count == 1 ? "" : "s");
	add_check(checks, "gpu",
		  checks->of->ctx->offline ? VERDICT_UNKNOWN
		  : gpus->count            ? VERDICT_YES
					   : VERDICT_NO,
		  ERROR_NO_GPU, detail);
}

static void check_match(struct checks *checks, const struct error *error)
{
	char detail[256];

	if (error) {
		add_refusal(checks, "match", error);
		return;
	}
	(void)text_format(detail, sizeof(detail), "driver %s by rule %s",
			  checks->of->work->match.package.version,
			  match_rule_name(checks->of->work->match.rule));
	add_check(checks, "match", VERDICT_YES, ERROR_NONE, detail);
}

/* The folder or the nearest one above it that is there. */
static bool free_bytes(const struct root *root, const char *path, uint64_t *ret_bytes)
{
	struct error ignored = ERROR_INIT;
	char part[256];
	struct statvfs fs;

	if (!text_copy(part, sizeof(part), path))
		return false;
	for (;;) {
		cleanup_fd int fd =
			root_open_at(root, part, O_RDONLY | O_DIRECTORY, 0, &ignored);
		char *slash = strrchr(part, '/');

		if (fd >= 0 && fstatvfs(fd, &fs) == 0) {
			*ret_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
			return true;
		}
		if (!slash || slash == part)
			return false;
		*slash = '\0';
	}
}

static void check_record(struct checks *checks)
{
	const struct preflight *of = checks->of;
	struct error err = ERROR_INIT;

	if (work_keeps_installed(of->work) ||
	    choose_refuse_lost(of->ctx, of->state, &err) == 0)
		add_check(checks, "state", VERDICT_YES, ERROR_NONE,
			  "what was done here is on record");
	else
		add_refusal(checks, "state", &err);
}

/* What install refuses by; where nothing is to be installed, nothing is in the way. */
static void check_obstacles(struct checks *checks)
{
	const struct work *work = checks->of->work;
	struct obstacle_input input =
		choose_obstacles(checks->of->ctx, checks->of->state, work);
	bool settled = work_keeps_installed(work) && work_targets_done(work);

	for (size_t i = 0; obstacle_name(i); i++) {
		struct error err = ERROR_INIT;

		if (settled || obstacle_look(&input, i, &err) == 0)
			add_check(checks, obstacle_name(i), VERDICT_YES, ERROR_NONE,
				  obstacle_absent(i));
		else
			add_refusal(checks, obstacle_name(i), &err);
	}
}

#define SPACE_FACTOR 5 /* package, tree, compile, installed driver */

static void check_space(struct checks *checks)
{
	const struct package *package = &checks->of->work->match.package;
	uint64_t need = SPACE_FACTOR * package->size, have;
	char detail[128];

	if (package->size == 0 ||
	    !free_bytes(&checks->of->ctx->root, PATHS_CACHE, &have)) {
		add_check(checks, "space", VERDICT_UNKNOWN, ERROR_NONE,
			  "the size of the package is not known");
		return;
	}
	(void)text_format(detail, sizeof(detail), "%llu MiB free, about %llu MiB needed",
			  (unsigned long long)(have >> 20),
			  (unsigned long long)(need >> 20));
	add_check(checks, "space", have >= need ? VERDICT_YES : VERDICT_NO,
		  ERROR_PREREQUISITES, detail);
}

static void add_toolchain(struct checks *checks, enum verdict verdict,
			  enum error_code code, const char *detail)
{
	add_check(checks, "headers", verdict, code, detail);
	add_check(checks, "compiler", verdict, code, detail);
}

/* Whether the index lists prebuilt modules for the first target. */
static bool is_listed(const struct preflight *of)
{
	return modules_prebuilt_listed(of->ctx, of->repository, of->work,
				       of->work->targets[0].kernel.release);
}

/* driver.prebuilt "only", and the index lists nothing that could be taken. */
static bool compiles_never(struct checks *checks)
{
	const struct preflight *of = checks->of;
	struct error err = ERROR_INIT;

	if (strcmp(of->ctx->settings.driver.prebuilt, "only") != 0)
		return false;
	if (modules_prebuilt_foresee(of->ctx, of->repository, of->work,
				     of->work->targets[0].kernel.release, &err) < 0) {
		add_refusal(checks, "headers", &err);
		add_refusal(checks, "compiler", &err);
	}
	return true;
}

/* True: nothing is to be compiled, so nothing that a compile needs is looked at. */
static bool compiles_nothing(struct checks *checks)
{
	const struct preflight *of = checks->of;

	if (of->work->target_count == 0)
		add_toolchain(checks, VERDICT_NO, ERROR_PREREQUISITES,
			      "no kernel to build for");
	else if (of->work->targets[0].done)
		add_toolchain(checks, VERDICT_YES, ERROR_NONE, "not needed");
	else if (is_listed(of))
		add_toolchain(checks, VERDICT_YES, ERROR_NONE,
			      "not needed: the index lists prebuilt modules");
	else
		return compiles_never(checks);
	return true;
}

static void check_toolchain(struct checks *checks)
{
	const struct context *ctx = checks->of->ctx;
	const struct work *work = checks->of->work;
	bool may_install = strcmp(ctx->settings.driver.prerequisites, "install") == 0;
	enum verdict lacking = may_install ? VERDICT_UNKNOWN : VERDICT_NO;
	struct error err = ERROR_INIT;
	struct toolchain toolchain;
	struct kernel kernel;
	char detail[320];

	if (compiles_nothing(checks))
		return;

	kernel = work->targets[0].kernel;
	if (kernel.headers)
		add_check(checks, "headers", VERDICT_YES, ERROR_NONE, kernel.build);
	else
		add_check(checks, "headers", lacking, ERROR_PREREQUISITES,
			  may_install ? "not here; run installs them" : "not here");

	if (toolchain_find(ctx->runner, &ctx->root, &kernel, work_by_dkms(work),
			   &toolchain, &err) == 0 &&
	    !toolchain.missing[0]) {
		bool doomed = work->match.doomed;

		add_check(checks, "compiler", doomed ? VERDICT_NO : VERDICT_YES,
			  ERROR_BUILD, doomed ? work->match.warning : toolchain.compiler);
		return;
	}
	(void)text_format(detail, sizeof(detail), "missing: %s%s",
			  err.code ? err.text : toolchain.missing,
			  may_install ? "; run installs it" : "");
	add_check(checks, "compiler", lacking, ERROR_PREREQUISITES, detail);
}

/*
 * Who signs is judged before there must be room or a compiler, as in a run; its place in
 * the list is behind them.
 */
static void judge_signer(struct checks *checks)
{
	const struct preflight *of = checks->of;

	if (of->work->target_count > 0 && !of->work->targets[0].done && !is_listed(of) &&
	    signing_check(of->ctx, of->work, &checks->signer) < 0 &&
	    checks->failure.code == ERROR_NONE)
		checks->failure = checks->signer;
}

static void check_secure_boot(struct checks *checks)
{
	const struct preflight *of = checks->of;
	struct module_enforced enforced = { .evidence = "not asked: offline" };
	const char *key = of->ctx->settings.signing.key;
	bool builds = of->work->target_count > 0 && !of->work->targets[0].done;
	char detail[512];

	if (checks->signer.code) {
		add_refusal(checks, "secure_boot", &checks->signer);
		return;
	}
	if (!of->ctx->offline)
		enforced = module_enforced(&of->ctx->root);
	(void)text_format(detail, sizeof(detail), "%s%s%s", enforced.evidence,
			  !builds         ? ""
			  : is_listed(of) ? "; the index lists prebuilt modules"
			  : key[0]        ? "; modules will be signed with "
					  : "",
			  builds && !is_listed(of) ? key : "");
	add_check(checks, "secure_boot",
		  enforced.answer == MODULE_UNKNOWN ? VERDICT_UNKNOWN : VERDICT_YES,
		  ERROR_NONE, detail);
}

static void check_nouveau(struct checks *checks)
{
	const struct gpu_list *gpus = &checks->of->guest->gpus;

	for (size_t i = 0; i < gpus->count; i++) {
		const char *driver = gpus->gpus[i].driver;
		char detail[128];

		if (strcmp(driver, "nouveau") != 0 && !text_starts(driver, "nova"))
			continue;
		(void)text_format(detail, sizeof(detail), "%s holds %s; run unloads it",
				  driver, gpus->gpus[i].address);
		add_check(checks, "nouveau", VERDICT_UNKNOWN, ERROR_NONE, detail);
		return;
	}
	add_check(checks, "nouveau", VERDICT_YES, ERROR_NONE, "not bound");
}

static void check_package_lock(struct checks *checks)
{
	long pid = 0;
	enum manager_lock lock = manager_look(&checks->of->ctx->root, &pid);
	char detail[96] = "could not be asked";

	if (lock == MANAGER_LOCK_FREE)
		(void)text_copy(detail, sizeof(detail), "free");
	else if (lock == MANAGER_LOCK_HELD)
		(void)text_format(detail, sizeof(detail),
				  "held by process %ld; run waits for it", pid);
	add_check(checks, "package_lock",
		  lock == MANAGER_LOCK_FREE ? VERDICT_YES : VERDICT_UNKNOWN, ERROR_NONE,
		  detail);
}

static void check_clock(struct checks *checks)
{
	bool set = clock_is_synchronized();

	add_check(checks, "clock", set ? VERDICT_YES : VERDICT_UNKNOWN, ERROR_NONE,
		  set ? "synchronised" : "not known to be synchronised");
}

static void check_license_server(struct checks *checks, const struct json *token)
{
	char detail[256];
	enum probe_outcome outcome = probe_license_servers(
		token, checks->of->ctx->channel, detail, sizeof(detail));

	add_check(checks, "license_server",
		  outcome == PROBE_UNKNOWN ? VERDICT_UNKNOWN
		  : outcome == PROBE_OPEN  ? VERDICT_YES
					   : VERDICT_NO,
		  ERROR_NONE, detail);
}

/* The worker's judgement of the token that counts; NULL where there is none. */
static struct json *judge_token(struct checks *checks)
{
	cleanup(which_token_done) struct which_token token = WHICH_TOKEN_INIT;
	const struct preflight *of = checks->of;
	struct json *found = NULL;
	struct error err = ERROR_INIT;
	char warning[160] = "", detail[320];

	if (which_token_open(of->ctx, of->metadata, of->lease, &token, &err) < 0) {
		add_refusal(checks, "token", &err);
		return NULL;
	}
	if (token.fd < 0) {
		bool needed = !of->ctx->offline &&
			      license_is_needed(&of->guest->gpus,
						of->ctx->settings.license.feature_type,
						false);

		if (needed && which_token_none(&of->ctx->root, &err) < 0)
			add_refusal(checks, "token", &err);
		else
			add_check(checks, "token", VERDICT_UNKNOWN, ERROR_NONE,
				  "there is none");
		return NULL;
	}
	if (token_check(token.fd, of->ctx->channel, &found, &err) < 0 ||
	    token_accept(found, warning, sizeof(warning), &err) < 0) {
		add_refusal(checks, "token", &err);
		return found;
	}
	(void)text_format(detail, sizeof(detail), "%s%s%s", token.source,
			  warning[0] ? ": " : "", warning);
	add_check(checks, "token", VERDICT_YES, ERROR_NONE, detail);
	return found;
}

static void not_looked_at(struct checks *checks, const char *name)
{
	add_check(checks, name, VERDICT_UNKNOWN, ERROR_NONE, "that guest is not here");
}

/* Of a guest that is not here only the choice can be checked. */
static void check_supposed(struct checks *checks, const struct error *match)
{
	static const char *const others[] = {
		"space",        "headers", "compiler", "secure_boot",   "nouveau",
		"package_lock", "clock",   "token",    "license_server"
	};

	not_looked_at(checks, "gpu");
	check_match(checks, match);
	not_looked_at(checks, "state");
	for (size_t i = 0; obstacle_name(i); i++)
		not_looked_at(checks, obstacle_name(i));
	for (size_t i = 0; i < ARRAY_SIZE(others); i++)
		not_looked_at(checks, others[i]);
}

static void check_guest(struct checks *checks, const struct error *match)
{
	cleanup_json struct json *token = NULL;

	check_gpu(checks);
	check_match(checks, match);
	check_record(checks);
	check_obstacles(checks);
	judge_signer(checks);
	check_space(checks);
	check_toolchain(checks);
	check_secure_boot(checks);
	check_nouveau(checks);
	check_package_lock(checks);
	check_clock(checks);
	token = judge_token(checks);
	check_license_server(checks, token);
}

struct json *command_preflight(const struct preflight *of, const struct error *match,
			       struct error *ret_failure)
{
	struct checks checks = { .of = of, .list = json_build("[]") };

	if (of->ctx->job == JOB_SUPPOSED)
		check_supposed(&checks, match);
	else
		check_guest(&checks, match);
	*ret_failure = checks.failure;
	return checks.list;
}
