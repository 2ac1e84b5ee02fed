/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Kernel modules of ours that lie where modprobe takes them from and that this kernel
 * would not take: they are there, and all the same something is to be done.
 */

#include "core/context.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

/*
 * Whether the kernel takes only signed modules, and the agent's own for `release` are not
 * signed, or not with signing.key where that is one that the kernel trusts. False for
 * modules of others', in an image, and where it cannot be told.
 */
must_check int in_place_refused(const struct context *ctx, const char *release,
				bool *ret_refused, struct error *err);

/*
 * Copies of these modules, signed with signing.key: nothing is compiled, and of several
 * signatures the last one counts. Their place is that of a build's. Of sign_modules().
 */
must_check int in_place_sign(const struct context *ctx, const struct kernel *kernel,
			     struct build_result *ret_built, struct error *err);
