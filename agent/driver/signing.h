/* SPDX-License-Identifier: Apache-2.0 */
#pragma once

/*
 * Whether this kernel would take the modules that are made here, and the key that signs
 * them.
 */

#include "driver/work.h"

/*
 * Asked before any change: whoever signs the modules of this undertaking (signing.key,
 * or DKMS with a key of its own, as for a package) does so with a key that is good and
 * that this kernel trusts. ERROR_SECURE_BOOT where the modules would not be loaded,
 * else of sign_judge().
 */
must_check int signing_check(const struct context *ctx, const struct work *work,
			     struct error *err);

/*
 * Whether this kernel takes what the key `signed_by` has signed ("NAME: KEY ID"; "":
 * nobody). ERROR_SECURE_BOOT. In an image nobody knows: 0.
 */
must_check int signing_accepts(const struct context *ctx, const char *signed_by,
			       struct error *err);

/* Of the key that signs the modules built here, inside the root; "" where none does. */
const char *signing_certificate(const struct context *ctx);

/*
 * Signs the modules, where that is wanted: with signing.key, or by --sign-command, whose
 * answer is then looked at: ERROR_SECURE_BOOT where it is of another key.
 */
must_check int signing_sign(const struct context *ctx, const struct kernel *kernel,
			    const struct build_result *built, struct error *err);
