/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/signing.h"

#include "steps/build/sign.h"
#include "steps/detect/detect.h"

int signing_check(const struct context *ctx, struct error *err)
{
	if (ctx->offline || ctx->settings.signing.key[0] ||
	    detect_secure_boot(&ctx->root) != 1)
		return 0;
	(void)error_set(err, ERROR_SECURE_BOOT,
			"Secure Boot is on and there is no key to sign the modules with");
	return error_hint(err,
			  "set signing.key and signing.cert to a key that this guest "
			  "trusts, or turn Secure Boot off for this instance");
}

int signing_sign(const struct context *ctx, const struct kernel *kernel,
		 const struct build_result *built, struct error *err)
{
	const struct sign_key key = { .key = ctx->settings.signing.key,
				      .cert = ctx->settings.signing.cert };

	if (!key.key[0])
		return 0;
	return sign_modules(ctx->runner, &ctx->root, &key, kernel, built, err);
}
