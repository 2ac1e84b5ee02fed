/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/toolchain_ahead.h"

#include <string.h>

#include "base/log.h"
#include "driver/modules_prebuilt.h"
#include "driver/signing.h"
#include "steps/detect/toolchain.h"

/* What the child works on. */
struct ahead {
	const struct context *ctx;
	const struct repository *repository;
	struct work *work;
};

static bool needs_compiler(const struct ahead *ahead, const struct target *target)
{
	return !target->done &&
	       !modules_prebuilt_listed(ahead->ctx, ahead->repository, ahead->work,
					target->kernel.release);
}

/* In the child: what it changes of the work stays there. */
static int install_toolchains(void *context, struct error *err)
{
	struct ahead *ahead = context;
	const struct context *ctx = ahead->ctx;
	struct toolchain_system system = { .root = &ctx->root,
					   .os = &ahead->work->guest->os,
					   .runner = ctx->runner,
					   .dkms = work_by_dkms(ahead->work),
					   .log_fd = ctx->tools->log_fd };

	for (size_t i = 0; i < ahead->work->target_count; i++) {
		struct target *target = &ahead->work->targets[i];
		struct toolchain toolchain;

		if (needs_compiler(ahead, target) &&
		    toolchain_install(&system, &target->kernel, &toolchain, err) < 0)
			return -1;
	}
	return 0;
}

/* Whether something is missing for a kernel; then `ret_toolchain` says what. */
static bool is_missing(const struct ahead *ahead, struct toolchain *ret_toolchain)
{
	const struct work *work = ahead->work;
	struct error ignored = ERROR_INIT;

	for (size_t i = 0; i < work->target_count; i++) {
		if (needs_compiler(ahead, &work->targets[i]) &&
		    toolchain_find(ahead->ctx->runner, &ahead->ctx->root,
				   &work->targets[i].kernel, work_by_dkms(work),
				   ret_toolchain, &ignored) == 0 &&
		    ret_toolchain->missing[0])
			return true;
	}
	return false;
}

/* Nothing that a later step would refuse to begin with. */
static bool is_wanted(const struct context *ctx, struct work *work)
{
	struct error ignored = ERROR_INIT;

	return !(ctx->job & JOB_APART) && !work_keeps_installed(work) &&
	       !work->driver.path[0] &&
	       strcmp(ctx->settings.driver.prerequisites, "install") == 0 &&
	       strcmp(ctx->settings.driver.prebuilt, "only") != 0 &&
	       signing_check(ctx, work, &ignored) == 0 &&
	       work_look_at_targets(ctx, &work->guest->installed, work->driver.version,
				    work, &ignored) == 0;
}

void toolchain_ahead_begin(const struct context *ctx, const struct repository *repository,
			   struct work *work)
{
	struct ahead ahead = { ctx, repository, work };
	struct error err = ERROR_INIT;
	struct toolchain toolchain;

	if (!is_wanted(ctx, work) || !is_missing(&ahead, &toolchain))
		return;
	if (context_log(ctx, &err) < 0 ||
	    beside_start(&work->ahead, install_toolchains, &ahead, &err) < 0) {
		log_line(LOG_LEVEL_DEBUG, "preparing the build: %s", err.text);
		return;
	}
	log_line(LOG_LEVEL_NOTICE, "build      installing %s, beside what follows",
		 toolchain.missing);
}

int toolchain_ahead_end(const struct context *ctx, struct work *work, struct error *err)
{
	return beside_wait(&work->ahead, ctx->runner->cancel_fd, err);
}
