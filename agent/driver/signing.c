/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/signing.h"

#include "steps/build/sign.h"
#include "steps/detect/module_enforced.h"

int signing_check(const struct context *ctx, struct error *err)
{
	struct module_enforced enforced;

	if (ctx->offline || ctx->settings.signing.key[0])
		return 0;
	enforced = module_enforced(&ctx->root);
	if (enforced.answer != MODULE_YES)
		return 0;
	(void)error_set(err, ERROR_SECURE_BOOT,
			"this kernel takes only signed modules (%s) and there is no key "
			"to sign them with",
			enforced.evidence);
	return module_enforced_hint(&enforced, err);
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
