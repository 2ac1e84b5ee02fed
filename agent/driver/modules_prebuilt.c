/* SPDX-License-Identifier: Apache-2.0 */
#include "driver/modules_prebuilt.h"

#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "driver/signing.h"
#include "model/paths.h"
#include "steps/build/build.h"
#include "steps/build/prebuilt.h"
#include "steps/detect/toolchain.h"

#define HINT_COMPILE                                                                \
	"let this guest compile (driver.prebuilt \"auto\"), or use a kernel whose " \
	"symbols have versions"

static bool is_setting(const struct context *ctx, const char *value)
{
	return strcmp(ctx->settings.driver.prebuilt, value) == 0;
}

static const struct json *archives_of(const struct context *ctx,
				      const struct repository *repository)
{
	return ctx->settings.driver.repository[0] && repository->index
		       ? repository->index->modules
		       : NULL;
}

static struct prebuilt_wish wish_for(const struct work *work, const char *release,
				     const char *flavour)
{
	return (struct prebuilt_wish){ .version = work->driver.version,
				       .kernel = release,
				       .arch = work->guest->os.arch,
				       .flavour = flavour };
}

/* Such a package compiles its modules itself. */
static bool will_be_package(const struct context *ctx, const struct work *work)
{
	const char *wanted = ctx->settings.driver.package;

	return work_is_package(work) || strcmp(wanted, "deb") == 0 ||
	       strcmp(wanted, "rpm") == 0;
}

/* The next that this kernel takes, as far as the index says; `err` for one it does not.
 */
static bool next_accepted(const struct context *ctx, const struct repository *repository,
			  const struct prebuilt_wish *wish, size_t *at,
			  struct prebuilt *ret_found, struct error *err)
{
	while (prebuilt_next(archives_of(ctx, repository), wish, at, ret_found)) {
		/* By its own word: whose kernel has no versions of symbols. */
		if (!strstr(ret_found->vermagic, "modversions")) {
			(void)error_set(err, ERROR_PREREQUISITES,
					"%.160s was made for a kernel without "
					"CONFIG_MODVERSIONS: nothing proves that it fits",
					ret_found->name);
			(void)error_hint(err, HINT_COMPILE);
			continue;
		}
		if (signing_accepts(ctx, ret_found->signed_by, err) == 0)
			return true;
	}
	return false;
}

static int refuse_none(const struct error *why, const char *release, struct error *err)
{
	bool unsigned_only = why->code == ERROR_SECURE_BOOT;

	(void)error_set(err, unsigned_only ? ERROR_SECURE_BOOT : ERROR_PREREQUISITES,
			"no prebuilt modules for kernel %s: %s", release,
			why->code ? why->text : "the repository's index lists none");
	return error_hint(err, "%s",
			  why->hint[0]
				  ? why->hint
				  : "make them with build-modules, publish them and a "
				    "new index, or set driver.prebuilt to \"auto\"");
}

/* Such an archive would be fetched, and then refused: so it is not promised. */
static int refuse_unprovable(const struct context *ctx, const char *release,
			     struct error *err)
{
	char file[PREBUILT_CONFIG_SIZE];

	if (!prebuilt_check_unprovable(&ctx->root, release, file))
		return 0;
	(void)error_set(
		err, ERROR_PREREQUISITES,
		"no prebuilt modules for kernel %s: CONFIG_MODVERSIONS is not set in "
		"%s, so nothing proves that modules made elsewhere fit",
		release, file);
	return error_hint(err, HINT_COMPILE);
}

int modules_prebuilt_foresee(const struct context *ctx,
			     const struct repository *repository, const struct work *work,
			     const char *release, struct error *err)
{
	struct prebuilt_wish wish =
		wish_for(work, release, ctx->settings.driver.kernel_module);
	struct error why = ERROR_INIT;
	struct prebuilt found;
	size_t at = 0;

	if (!is_setting(ctx, "never") && refuse_unprovable(ctx, release, err) < 0)
		return -1;
	if (!is_setting(ctx, "never") && !will_be_package(ctx, work) &&
	    !work_by_dkms(work) &&
	    next_accepted(ctx, repository, &wish, &at, &found, &why))
		return 0;
	return refuse_none(&why, release, err);
}

bool modules_prebuilt_listed(const struct context *ctx,
			     const struct repository *repository, const struct work *work,
			     const char *release)
{
	struct error ignored = ERROR_INIT;

	return modules_prebuilt_foresee(ctx, repository, work, release, &ignored) == 0;
}

bool modules_prebuilt_asks(const struct context *ctx, const struct repository *repository,
			   const struct work *work, const struct kernel *kernel)
{
	struct error ignored = ERROR_INIT;
	struct toolchain toolchain;

	if (is_setting(ctx, "never") || repository->source != REPOSITORY_NONE ||
	    !ctx->settings.driver.repository[0])
		return false;
	return is_setting(ctx, "only") || !kernel->headers ||
	       signing_check(ctx, work, &ignored) < 0 ||
	       toolchain_find(ctx->runner, &ctx->root, kernel, false, &toolchain,
			      &ignored) < 0 ||
	       toolchain.missing[0];
}

/* As any file: size and SHA-256 are the index's, and something must vouch for that. */
static int fetch_archive(const struct context *ctx, const struct repository *repository,
			 const struct prebuilt *prebuilt, struct fetch_result *ret_result,
			 struct error *err)
{
	char url[SETTINGS_URL_MAX + 3 * PACKAGE_NAME_MAX];
	struct package package = { .kind = PACKAGE_NONE, .size = prebuilt->size };
	struct fetch_input input = { .url = url,
				     .package = &package,
				     .index_signed = repository->index_signed,
				     .index_verified = repository->index_verified,
				     .root = &ctx->root,
				     .settings = &ctx->settings };
	const struct transport *transport;

	(void)text_copy(package.name, sizeof(package.name), prebuilt->name);
	(void)text_copy(package.sha256, sizeof(package.sha256), prebuilt->sha256);
	if (!repository_file_url(ctx->settings.driver.repository, prebuilt->name, url,
				 sizeof(url)))
		return error_set(err, ERROR_USAGE, "its URL is too long");
	if (fetch_check(&input, err) < 0)
		return -1;
	transport = context_transport(ctx, err);
	return transport ? fetch_file(&input, transport, &ctx->root, ctx->channel,
				      ret_result, err)
			 : -1;
}

static int check_archive(const struct context *ctx, const struct prebuilt *prebuilt,
			 const struct prebuilt_content *content, struct error *err)
{
	const char *differs = prebuilt_differs(prebuilt, &content->manifest);

	if (differs)
		return error_set(err, ERROR_INTEGRITY,
				 "its manifest contradicts the index in \"%s\"", differs);
	if (prebuilt_check(&ctx->root, prebuilt->kernel, &content->built, err) < 0)
		return -1;
	if (signing_accepts(ctx, content->manifest.signed_by, err) < 0)
		return -1;
	if (content->verified || signing_accepts(ctx, "", err) == 0)
		return 0;
	(void)error_set(err, ERROR_SECURE_BOOT,
			"it does not carry the certificate of %.150s",
			prebuilt->signed_by);
	return error_hint(err, "make it anew: an older build-modules made it");
}

static int take_archive(const struct context *ctx, const struct repository *repository,
			const struct prebuilt *prebuilt, struct build_result *ret_built,
			struct error *err)
{
	cleanup(fetch_result_done) struct fetch_result file = FETCH_RESULT_INIT;
	struct prebuilt_content content;
	char dir[160];

	text_path(dir, sizeof(dir), PATHS_BUILD "/%s", prebuilt->kernel);
	if (fetch_archive(ctx, repository, prebuilt, &file, err) < 0 ||
	    prebuilt_unpack(ctx->channel, &ctx->root, file.fd, dir, &content, err) < 0 ||
	    check_archive(ctx, prebuilt, &content, err) < 0)
		return error_prefix(err, "%.160s", prebuilt->name);

	*ret_built = content.built;
	return 0;
}

/* Tries each archive of the index in turn; `why` says what was wrong with the last. -1
 * only when interrupted. */
static int take_any(const struct context *ctx, const struct repository *repository,
		    const struct work *work, struct target *target, bool *ret_taken,
		    struct error *why)
{
	struct prebuilt_wish wish = wish_for(work, target->kernel.release,
					     prebuilt_flavour(work->driver.open));
	struct prebuilt found;
	size_t at = 0;

	*ret_taken = false;
	while (next_accepted(ctx, repository, &wish, &at, &found, why)) {
		*why = ERROR_INIT;
		if (take_archive(ctx, repository, &found, &target->built, why) == 0) {
			*ret_taken = true;
			return 0;
		}
		if (why->interrupted)
			return -1;
		log_line(LOG_LEVEL_WARNING,
			 "warning: build: prebuilt modules are not used: %s", why->text);
	}
	return 0;
}

int modules_prebuilt_take(const struct context *ctx, const struct repository *repository,
			  const struct work *work, struct target *target,
			  struct modules_prebuilt *ret_result, struct error *err)
{
	struct error why = ERROR_INIT;

	ret_result->taken = false;
	if (is_setting(ctx, "never") || work_by_dkms(work))
		return 0;
	if (refuse_unprovable(ctx, target->kernel.release, err) < 0) {
		if (is_setting(ctx, "only"))
			return -1;
		(void)text_copy(ret_result->why, sizeof(ret_result->why), err->text);
		*err = ERROR_INIT;
		return 0;
	}
	if (take_any(ctx, repository, work, target, &ret_result->taken, &why) < 0) {
		*err = why;
		return -1;
	}
	if (why.code)
		(void)text_format(ret_result->why, sizeof(ret_result->why), "%s",
				  why.text);
	if (ret_result->taken || !is_setting(ctx, "only"))
		return 0;
	/* Else the repository could not be asked. */
	if (!why.code && ret_result->why[0])
		(void)error_set(&why, ERROR_PREREQUISITES, "%s", ret_result->why);
	return refuse_none(&why, target->kernel.release, err);
}
