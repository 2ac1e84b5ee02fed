/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/tried.h"

#include <string.h>

#include "base/text.h"
#include "steps/detect/toolchain.h"

_Static_assert(KNOWN_KERNELS_MAX >= CONTEXT_KERNELS_MAX, "each target is asked for");

bool tried_for_good(const struct error *error)
{
	return !error->interrupted && !error->passing && error->code == ERROR_BUILD;
}

int tried_note(const struct context *ctx, struct state *state, const struct work *work,
	       const struct target *target, const struct toolchain *toolchain,
	       const struct error *error, struct error *err)
{
	const struct package *file = &work->match.package;
	struct known_build build = { .open = work->driver.open,
				     .ok = !error,
				     .now = true };
	struct error why = ERROR_INIT;

	if (work->way_back || (error && !tried_for_good(error)))
		return 0;
	if (toolchain_version(ctx->runner, &ctx->root, toolchain, build.compiler,
			      sizeof(build.compiler), &why) < 0) {
		if (why.interrupted)
			*err = why;
		return why.interrupted ? -1 : 0;
	}
	(void)text_copy(build.file, sizeof(build.file), file->name);
	(void)text_copy(build.sha256, sizeof(build.sha256), file->sha256);
	(void)text_copy(build.version, sizeof(build.version), work->driver.version);
	(void)text_copy(build.kernel, sizeof(build.kernel), target->kernel.release);
	(void)text_copy(build.wanted, sizeof(build.wanted),
			ctx->settings.driver.kernel_module);
	if (error)
		(void)span_copy(span_of(error->text), build.why, sizeof(build.why));
	builds_note(&state->builds, &build);
	return 0;
}

int tried_forget(const struct context *ctx, const struct work *work, struct state *state,
		 struct error *err)
{
	for (size_t i = 0; i < work->target_count; i++) {
		const struct kernel *kernel = &work->targets[i].kernel;
		struct error why = ERROR_INIT;
		struct toolchain toolchain;
		struct known_build now;

		if (!builds_has(&state->builds, kernel->release))
			continue;
		if (toolchain_find(ctx->runner, &ctx->root, kernel, false, &toolchain,
				   err) < 0)
			return -1;
		if (toolchain.compiler[0] &&
		    toolchain_version(ctx->runner, &ctx->root, &toolchain, now.compiler,
				      sizeof(now.compiler), &why) == 0)
			builds_forget(&state->builds, kernel->release, now.compiler);
		if (why.interrupted) {
			*err = why;
			return -1;
		}
	}
	return 0;
}

struct known_input tried_known(const struct context *ctx, const struct work *work,
			       const struct state *state, const char *installed)
{
	struct known_input input = { .arch = work->guest->os.arch,
				     .wanted = ctx->settings.driver.kernel_module,
				     .build_count = state->builds.count,
				     .builds = state->builds.list,
				     .own_successes = !installed[0] };

	for (size_t i = 0; i < work->target_count && i < KNOWN_KERNELS_MAX; i++)
		input.kernels[input.kernel_count++] = work->targets[i].kernel.release;
	return input;
}

bool tried_dooms(const struct known_input *known, const struct work *work,
		 const char *version)
{
	const struct known_list none = { .count = 0 };
	struct package installed = { .kind = PACKAGE_NONE };
	struct known_input one = *known;

	one.kernel_count = 0;
	for (size_t i = 0; i < work->target_count && one.kernel_count == 0; i++) {
		const struct target *target = &work->targets[i];

		if (target->kernel.running && !target->done)
			one.kernels[one.kernel_count++] = target->kernel.release;
	}
	(void)text_copy(installed.version, sizeof(installed.version), version);
	return known_of(&one, &none, &installed).verdict == KNOWN_FAILS;
}
