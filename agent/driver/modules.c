/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/modules.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/choose.h"
#include "driver/in_place.h"
#include "driver/modules_prebuilt.h"
#include "driver/signing.h"
#include "driver/toolchain_ahead.h"
#include "driver/tried.h"
#include "model/paths.h"
#include "model/repository/prebuilt.h"
#include "steps/build/build.h"
#include "steps/build/build_tree.h"
#include "steps/detect/toolchain.h"

int modules_unpack(const struct context *ctx, struct work *work, struct error *err)
{
	if (context_log(ctx, err) < 0 ||
	    unpack_run(work->driver.path, &ctx->root, ctx->runner, ctx->tools->log_fd,
		       err) < 0)
		return -1;
	(void)text_copy(work->tree, sizeof(work->tree), PATHS_TREE);
	work->whole = true;
	return 0;
}

static int find_toolchain(const struct context *ctx, const struct work *work,
			  struct kernel *kernel, struct toolchain *ret_toolchain,
			  struct error *err)
{
	bool missing, dkms = work_by_dkms(work);
	const struct toolchain_system system = { .root = &ctx->root,
						 .os = &work->guest->os,
						 .runner = ctx->runner,
						 .dkms = dkms,
						 .log_fd = ctx->tools->log_fd };
	char names[320];

	if (toolchain_find(ctx->runner, &ctx->root, kernel, dkms, ret_toolchain, err) < 0)
		return -1;
	missing = ret_toolchain->missing[0] != '\0';
	/* Headers that have come since we looked: then only `kernel` is read anew below.
	 */
	if (!missing && kernel->headers)
		return 0;
	if (missing && strcmp(ctx->settings.driver.prerequisites, "install") != 0) {
		if (toolchain_install_names(&system, kernel, names, sizeof(names), err) <
		    0)
			return -1;
		(void)error_set(err, ERROR_PREREQUISITES, "kernel %s: missing: %s",
				kernel->release, ret_toolchain->missing);
		return error_hint(err,
				  "install %s, or set driver.prerequisites to "
				  "\"install\"",
				  names[0] ? names : "them");
	}

	if (missing)
		log_line(LOG_LEVEL_NOTICE, "build      installing %s",
			 ret_toolchain->missing);
	return toolchain_install(&system, kernel, ret_toolchain, err);
}

/* Headers that were installed just now have made DKMS's own hook build already. */
static int build_by_dkms(const struct context *ctx, struct work *work,
			 struct target *target, const struct build_input *input,
			 struct error *err)
{
	const struct build_dkms_key key = { .key = ctx->settings.signing.key,
					    .cert = ctx->settings.signing.cert };

	if (work_look_at_targets(ctx, NULL, input->version, work, err) < 0)
		return -1;
	if (target->done)
		return 0;
	log_line(LOG_LEVEL_NOTICE, "build      compiling for %s, by DKMS",
		 target->kernel.release);
	return build_dkms(ctx->runner, &ctx->root, input, &key, err);
}

static int compile(const struct context *ctx, struct work *work, struct target *target,
		   const struct build_input *input, struct error *err)
{
	if (work_by_dkms(work))
		return build_by_dkms(ctx, work, target, input, err);
	log_line(LOG_LEVEL_NOTICE, "build      compiling for %s", target->kernel.release);
	return build_modules(ctx->runner, &ctx->root, input, &target->built, err);
}

static int compile_for(const struct context *ctx, struct state *state, struct work *work,
		       struct target *target, struct error *err)
{
	struct toolchain toolchain;
	const struct build_input input = {
		.tree = work->tree,
		.version = work->driver.version,
		.open = work->driver.open,
		.kernel = &target->kernel,
		.toolchain = &toolchain,
		.log_fd = ctx->tools->log_fd,
		.log_path = ctx->tools->log_path,
	};
	struct error failed;
	int result;

	if (signing_check(ctx, work, err) < 0 ||
	    toolchain_ahead_end(ctx, work, err) < 0 ||
	    find_toolchain(ctx, work, &target->kernel, &toolchain, err) < 0)
		return -1;
	result = compile(ctx, work, target, &input, err);
	failed = *err;
	if (tried_note(ctx, state, work, target, &toolchain, result < 0 ? &failed : NULL,
		       err) < 0)
		return -1;
	if (result < 0 || work_by_dkms(work))
		return result;
	return signing_sign(ctx, &target->kernel, &target->built, err);
}

/* Of all targets, for the step's one line. */
struct tally {
	size_t compiled, taken, signed_anew;
	char why[200]; /* prebuilt modules were not used */
};

/* Without the tool for it another way is left. */
static int sign_those_in_place(const struct context *ctx, const struct work *work,
			       struct target *target, bool *ret_signed, struct error *err)
{
	struct error why = ERROR_INIT;

	if (!target->refused || !ctx->settings.signing.key[0] || work_by_dkms(work))
		return 0;
	if (signing_check(ctx, work, err) < 0)
		return -1;
	*ret_signed = in_place_sign(ctx, &target->kernel, &target->built, &why) == 0;
	if (*ret_signed || why.code == ERROR_PREREQUISITES)
		return 0;
	*err = why;
	return -1;
}

/* Prebuilt modules, if there are any that fit: before a compiler is looked for. */
static int build_for(const struct context *ctx, struct state *state,
		     const struct repository *repository, struct work *work,
		     struct target *target, struct tally *tally, struct error *err)
{
	struct modules_prebuilt prebuilt = { .taken = false };
	bool is_signed = false;

	if (sign_those_in_place(ctx, work, target, &is_signed, err) < 0)
		return -1;
	if (is_signed) {
		tally->signed_anew++;
		return 0;
	}
	memcpy(prebuilt.why, tally->why, sizeof(prebuilt.why));
	if (modules_prebuilt_take(ctx, repository, work, target, &prebuilt, err) < 0)
		return -1;
	if (prebuilt.taken) {
		log_line(LOG_LEVEL_NOTICE, "build      prebuilt modules for %s",
			 target->kernel.release);
		tally->taken++;
		return 0;
	}
	memcpy(tally->why, prebuilt.why, sizeof(tally->why));
	tally->compiled++;
	return compile_for(ctx, state, work, target, err);
}

static void describe_build(const struct work *work, const struct tally *tally,
			   struct outcome *outcome)
{
	size_t first = 0;

	while (first + 1 < work->target_count && work->targets[first].done)
		first++;
	(void)text_format(
		outcome->detail, sizeof(outcome->detail), "%s%s modules for %s%s%s%s%s",
		tally->compiled > 0 ? ""
		: tally->taken > 0  ? "prebuilt "
				    : "signed in place: ",
		work->driver.open ? "open" : "proprietary",
		work->targets[first].kernel.release,
		tally->compiled + tally->taken + tally->signed_anew > 1 ? " and others"
									: "",
		work_by_dkms(work) ? ", by DKMS" : "",
		tally->why[0] ? ", compiled: " : "", tally->why);
}

/* Packages compile in their own scripts: they need the same tools, found the same way. */
static int prepare_package(const struct context *ctx, struct work *work,
			   struct outcome *outcome, struct error *err)
{
	if (strcmp(ctx->settings.driver.prebuilt, "only") == 0) {
		(void)error_set(err, ERROR_PREREQUISITES,
				"a .%s package compiles its modules itself",
				package_kind_name(work->driver.kind));
		return error_hint(err, "set driver.prebuilt to \"auto\", or use a .run");
	}
	if (signing_check(ctx, work, err) < 0 || toolchain_ahead_end(ctx, work, err) < 0)
		return -1;
	for (size_t i = 0; i < work->target_count; i++) {
		struct toolchain toolchain;

		if (find_toolchain(ctx, work, &work->targets[i].kernel, &toolchain, err) <
		    0)
			return -1;
	}
	outcome_skip(outcome, "the package compiles its modules itself");
	return 0;
}

/* The sources to compile, and which of the two flavours. */
static int find_sources(const struct context *ctx, struct work *work, struct error *err)
{
	const struct driver *driver = &work->driver;
	/* A driver that was built before had its own flavour, whatever is set now. */
	const struct build_choice choice = {
		.tree = work->tree,
		.version = driver->version,
		.wanted = work->recorded ? prebuilt_flavour(driver->open)
					 : ctx->settings.driver.kernel_module,
	};

	if (work->whole)
		return build_flavour(ctx->runner, &ctx->root, &choice, &work->driver.open,
				     err);
	if (build_tree_kept(&ctx->root, driver->version, work->tree, sizeof(work->tree),
			    &work->driver.open))
		return 0;
	return error_set(err, ERROR_PREREQUISITES,
			 "the kernel sources of driver %s are not kept in %s",
			 driver->version, PATHS_SOURCES);
}

/* -1 only when interrupted: what the repository does not say is compiled. */
static int ask_for_prebuilt(const struct context *ctx, struct state *state,
			    struct repository *repository, const struct work *work,
			    struct tally *tally, struct error *err)
{
	struct error why = ERROR_INIT;
	bool asks = false;

	for (size_t i = 0; i < work->target_count && !work_by_dkms(work); i++)
		asks |= !work->targets[i].done &&
			modules_prebuilt_asks(ctx, repository, work,
					      &work->targets[i].kernel);
	if (!asks || choose_list(ctx, state, repository, &why) == 0)
		return 0;
	if (why.interrupted) {
		*err = why;
		return -1;
	}
	(void)text_format(tally->why, sizeof(tally->why), "%s", why.text);
	return 0;
}

int modules_build(const struct context *ctx, struct state *state,
		  struct repository *repository, struct work *work,
		  struct outcome *outcome, struct error *err)
{
	struct tally tally = { .compiled = 0 };

	if (work_need_target(work, err) < 0 || context_log(ctx, err) < 0)
		return -1;
	if (work_is_package(work))
		return prepare_package(ctx, work, outcome, err);
	if (find_sources(ctx, work, err) < 0 ||
	    ask_for_prebuilt(ctx, state, repository, work, &tally, err) < 0)
		return -1;

	for (size_t i = 0; i < work->target_count; i++) {
		if (!work->targets[i].done &&
		    build_for(ctx, state, repository, work, &work->targets[i], &tally,
			      err) < 0)
			return -1;
	}
	describe_build(work, &tally, outcome);
	return 0;
}

/* What the index does not list may come; what it lists unsigned will not be signed. */
static int foresee_only(const struct context *ctx, const struct repository *repository,
			const struct work *work, const char *release, struct error *err)
{
	struct error why = ERROR_INIT;

	if (modules_prebuilt_foresee(ctx, repository, work, release, &why) == 0 ||
	    why.code != ERROR_SECURE_BOOT)
		return 0;
	*err = why;
	return -1;
}

int modules_foresee(const struct context *ctx, const struct repository *repository,
		    const struct work *work, struct error *err)
{
	bool only = strcmp(ctx->settings.driver.prebuilt, "only") == 0;

	if (ctx->job & JOB_MODULES)
		return signing_check(ctx, work, err);
	if (ctx->job & JOB_APART || work_keeps_installed(work) || work->driver.path[0])
		return 0;
	for (size_t i = 0; i < work->target_count; i++) {
		const struct kernel *kernel = &work->targets[i].kernel;

		if (modules_prebuilt_asks(ctx, repository, work, kernel) ||
		    modules_prebuilt_listed(ctx, repository, work, kernel->release))
			continue;
		if (only ? foresee_only(ctx, repository, work, kernel->release, err) < 0
			 : signing_check(ctx, work, err) < 0)
			return -1;
	}
	return 0;
}

void modules_discard(const struct context *ctx)
{
	struct error err = ERROR_INIT;

	if (unpack_discard(&ctx->root, &err) < 0 || build_discard(&ctx->root, &err) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", err.text);
}
