/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/signing.h"

#include <string.h>

#include "base/text.h"
#include "steps/build/build.h"
#include "steps/build/sign.h"
#include "steps/detect/module_trusted.h"

static bool is_enforced(const struct context *ctx, struct module_enforced *ret_enforced)
{
	if (ctx->offline)
		return false;
	*ret_enforced = module_enforced(&ctx->root);
	return ret_enforced->answer == MODULE_YES;
}

static int refuse_unsigned(const struct module_enforced *enforced, struct error *err)
{
	(void)error_set(err, ERROR_SECURE_BOOT,
			"this kernel takes only signed modules (%s) and there is no key "
			"to sign them with",
			enforced->evidence);
	return module_enforced_hint(enforced, err);
}

static int refuse_untrusted(const struct module_enforced *enforced, const char *whose,
			    const struct sign_cert *cert, struct error *err)
{
	bool curve = strcmp(cert->kind, "EC") == 0;

	(void)error_set(err, ERROR_SECURE_BOOT,
			"this kernel takes only signed modules (%s) and does not list %s "
			"in /proc/keys: %s, key id %s%s",
			enforced->evidence, whose, cert->name, cert->key_id,
			curve ? ", of an elliptic curve, which most kernels cannot read"
			      : "");
	return error_hint(err,
			  "%sgive the guest this certificate in the firmware's db "
			  "(docs/operator.md), or sign with a key that /proc/keys lists",
			  curve ? "take an RSA key; " : "");
}

/* The key that signs modules built here; of one that is elsewhere, the certificate. */
static struct sign_key our_key(const struct context *ctx)
{
	const struct settings_signing *signing = &ctx->settings.signing;

	if (ctx->options->sign_command)
		return (struct sign_key){ .key = "",
					  .cert = ctx->options->sign_cert,
					  .command = ctx->options->sign_command };
	return (struct sign_key){ .key = signing->key, .cert = signing->cert };
}

static bool is_key(const struct sign_key *key)
{
	return key->key[0] || key->command;
}

const char *signing_certificate(const struct context *ctx)
{
	const struct sign_key key = our_key(ctx);

	return is_key(&key) ? key.cert : "";
}

/* Whose key signs: false where it is nobody's. */
static bool find_signer(const struct context *ctx, const struct work *work,
			struct sign_key *key, char *path, size_t size)
{
	*key = our_key(ctx);
	if (is_key(key) && !work_is_package(work))
		return true;
	*key = (struct sign_key){ .key = "", .cert = path };
	return (work_is_package(work) || work_by_dkms(work)) &&
	       build_dkms_certificate(&ctx->root, path, size);
}

int signing_check(const struct context *ctx, const struct work *work, struct error *err)
{
	struct module_enforced enforced;
	struct sign_key key;
	struct sign_cert cert;
	char path[256];
	bool is_there = find_signer(ctx, work, &key, path, sizeof(path));
	bool ours = is_there && is_key(&key);

	/* A key of ours signs whether the kernel asks for a signature or not. */
	if (ours && sign_judge(ctx->channel, &ctx->root, &key, &cert, err) < 0)
		return -1;
	if (!is_enforced(ctx, &enforced))
		return 0;
	if (!is_there)
		return refuse_unsigned(&enforced, err);
	if (!ours && sign_judge(ctx->channel, &ctx->root, &key, &cert, err) < 0)
		return error_prefix(err, "DKMS's %s", path);
	if (module_trusted(&ctx->root, cert.key_id) != MODULE_NO)
		return 0;
	return refuse_untrusted(&enforced, ours ? "signing.cert" : "the key of DKMS",
				&cert, err);
}

int signing_accepts(const struct context *ctx, const char *signed_by, struct error *err)
{
	const char *colon = strrchr(signed_by, ':');
	struct module_enforced enforced;

	if (!is_enforced(ctx, &enforced))
		return 0;
	if (colon && module_trusted(&ctx->root, colon + strspn(colon, ": ")) != MODULE_NO)
		return 0;
	if (colon)
		(void)error_set(err, ERROR_SECURE_BOOT,
				"this kernel takes only signed modules (%s) and does not "
				"list the key that signed them: %.150s",
				enforced.evidence, signed_by);
	else
		(void)error_set(
			err, ERROR_SECURE_BOOT,
			"this kernel takes only signed modules (%s), and they are "
			"not signed",
			enforced.evidence);
	return module_enforced_hint(&enforced, err);
}

/* Whoever signs elsewhere may have taken another key, or another module's digest. */
static int check_signatures(const struct context *ctx, const struct sign_key *key,
			    const struct build_result *built, struct error *err)
{
	for (size_t i = 0; i < built->count; i++) {
		bool is_signer = false;

		if (sign_is_by(ctx->channel, &ctx->root, key, built->modules[i],
			       &is_signer, err) < 0)
			return -1;
		if (!is_signer)
			return error_set(err, ERROR_SECURE_BOOT,
					 "what %s has made is no signature of %s by the "
					 "key of %s",
					 key->command, text_base_name(built->modules[i]),
					 key->cert);
	}
	return 0;
}

int signing_sign(const struct context *ctx, const struct kernel *kernel,
		 const struct build_result *built, struct error *err)
{
	const struct sign_key key = our_key(ctx);

	if (!is_key(&key))
		return 0;
	if (sign_modules(ctx->runner, &ctx->root, &key, kernel, built, err) < 0)
		return -1;
	return key.command ? check_signatures(ctx, &key, built, err) : 0;
}
