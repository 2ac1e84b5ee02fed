/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/in_place.h"

#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "model/paths.h"
#include "steps/build/sign.h"
#include "steps/detect/module_chosen.h"
#include "steps/detect/module_trusted.h"

#define NAMES_MAX 256

/*
 * Whether signing.key, which this kernel trusts, has not signed the module. Who else has
 * cannot be told: a signature names its certificate by issuer and number, /proc/keys by
 * key id. What cannot be told is left to the kernel, when it is to load the module.
 */
static bool would_mend(const struct context *ctx, const char *module)
{
	const struct sign_key key = { .key = ctx->settings.signing.key,
				      .cert = ctx->settings.signing.cert };
	struct error ignored = ERROR_INIT;
	struct sign_cert cert;
	bool is_signer = true;

	return key.key[0] &&
	       sign_judge(ctx->channel, &ctx->root, &key, &cert, &ignored) == 0 &&
	       module_trusted(&ctx->root, cert.key_id) == MODULE_YES &&
	       sign_is_by(ctx->channel, &ctx->root, &key, module, &is_signer, &ignored) ==
		       0 &&
	       !is_signer;
}

int in_place_refused(const struct context *ctx, const char *release, bool *ret_refused,
		     struct error *err)
{
	char path[MODULE_CHOSEN_MAX], kind[MODULE_CHOSEN_MAX];

	*ret_refused = false;
	if (ctx->offline || module_enforced(&ctx->root).answer != MODULE_YES)
		return 0;
	if (module_chosen(ctx->runner, &ctx->root, release, "filename", path, err) < 0 ||
	    module_chosen(ctx->runner, &ctx->root, release, "sig_id", kind, err) < 0)
		return -1;
	if (text_ends(path, "/" PATHS_MODULES "/nvidia.ko"))
		*ret_refused = !kind[0] || would_mend(ctx, path);
	return 0;
}

int in_place_sign(const struct context *ctx, const struct kernel *kernel,
		  struct build_result *ret_built, struct error *err)
{
	const struct sign_key key = { .key = ctx->settings.signing.key,
				      .cert = ctx->settings.signing.cert };
	struct build_result built = { .count = 0 };
	cleanup_strv char **names = NULL;
	char from[256], to[256], path[384];

	text_path(from, sizeof(from), "/lib/modules/%s/" PATHS_MODULES, kernel->release);
	text_path(to, sizeof(to), PATHS_BUILD "/%s", kernel->release);
	if (root_list(&ctx->root, from, NAMES_MAX, &names, err) < 0 ||
	    root_remove_tree(&ctx->root, to, err) < 0 ||
	    root_mkdir(&ctx->root, to, 0700, err) < 0)
		return -1;
	for (char **name = names; *name && built.count < BUILD_MODULES_MAX; name++) {
		char *copy = built.modules[built.count];

		if (!text_ends(*name, ".ko"))
			continue;
		if (!text_format(path, sizeof(path), "%s/%s", from, *name) ||
		    !text_format(copy, sizeof(built.modules[0]), "%s/%s", to, *name))
			return error_set(err, ERROR_INTERNAL, "%s is too long", *name);
		if (file_copy(&ctx->root, path, copy, err) < 0)
			return -1;
		built.count++;
	}
	if (sign_modules(ctx->runner, &ctx->root, &key, kernel, &built, err) < 0)
		return -1;
	*ret_built = built;
	return 0;
}
