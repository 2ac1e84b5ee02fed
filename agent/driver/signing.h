/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether this kernel would take the modules that are compiled here, and the key that
 * signs them.
 */

#include "core/context.h"
#include "model/kernel/kernel.h"
#include "model/kernel/modules.h"

/*
 * ERROR_SECURE_BOOT where modules that are compiled here would not be loaded: asked
 * before the compile, not after it.
 */
must_check int signing_check(const struct context *ctx, struct error *err);

/* Signs the modules with signing.key, where that is set. */
must_check int signing_sign(const struct context *ctx, const struct kernel *kernel,
			    const struct build_result *built, struct error *err);
