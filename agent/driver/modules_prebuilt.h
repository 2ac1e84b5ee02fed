/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernel modules that somebody has built already: the archives that the repository's
 * index lists. What fits a kernel beyond doubt needs neither compiler nor headers.
 */

#include "driver/work.h"
#include "model/repository/repository.h"

/*
 * Whether the index lists an archive that this kernel takes, as far as can be told before
 * it is fetched. ERROR_SECURE_BOOT where those that it lists are not signed as this
 * kernel wants them, ERROR_PREREQUISITES where it lists none.
 */
must_check int modules_prebuilt_foresee(const struct context *ctx,
					const struct repository *repository,
					const struct work *work, const char *release,
					struct error *err);

/* The same, where only whether counts: what needs a compiler is then not needed yet. */
bool modules_prebuilt_listed(const struct context *ctx,
			     const struct repository *repository, const struct work *work,
			     const char *release);

/*
 * Whether the repository, which nobody had to ask so far (as for a new kernel whose
 * driver is here), is to be asked for archives: only where a compile could not begin at
 * once.
 */
bool modules_prebuilt_asks(const struct context *ctx, const struct repository *repository,
			   const struct work *work, const struct kernel *kernel);

/* What came of it, for one target. */
struct modules_prebuilt {
	bool taken;    /* they are in the target's `built`, as a build leaves them */
	char why[200]; /* else why not; "" where none was to be looked for */
};

/*
 * Looks for the modules of this target; fetches, unpacks and checks them. With
 * driver.prebuilt "only", the error of modules_prebuilt_foresee() where none can be
 * taken. On entry ret_result->why may say why the repository could not be asked.
 */
must_check int modules_prebuilt_take(const struct context *ctx,
				     const struct repository *repository,
				     const struct work *work, struct target *target,
				     struct modules_prebuilt *ret_result,
				     struct error *err);
