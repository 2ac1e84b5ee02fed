/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "commands/output.h"
#include "commands/run.h"
#include "driver/signing.h"
#include "model/paths.h"
#include "model/repository/prebuilt.h"
#include "steps/build/build.h"
#include "steps/build/prebuilt.h"
#include "steps/detect/toolchain.h"

#define TEMPORARY "/var/tmp"
#define WORKSHOP_MAX 128

/* One call of the command. */
struct workshop {
	struct agent *agent;
	char dir[WORKSHOP_MAX]; /* its folder in the root: all work is done below it */
	int alive;              /* while this is open the folder is somebody's */
	char output[PATH_MAX];  /* the archive, absolute; the caller's */
	struct toolchain toolchain;
};

static bool path_below(const struct workshop *shop, const char *name, char *ret_path,
		       size_t size)
{
	return text_format(ret_path, size, "%s%s", shop->dir, name);
}

static int find_tools(const struct context *ctx, const struct os *os,
		      const struct kernel *kernel, struct toolchain *ret_toolchain,
		      struct error *err)
{
	const struct toolchain_system system = { .root = &ctx->root,
						 .os = os,
						 .runner = ctx->runner };
	char names[320];

	if (toolchain_find(ctx->runner, &ctx->root, kernel, false, ret_toolchain, err) <
	    0)
		return -1;
	if (!ret_toolchain->missing[0])
		return 0;
	if (toolchain_install_names(&system, kernel, names, sizeof(names), err) < 0)
		return -1;
	(void)error_set(err, ERROR_PREREQUISITES, "kernel %s: missing: %s",
			kernel->release, ret_toolchain->missing);
	return error_hint(err, "install %s: build-modules changes nothing here",
			  names[0] ? names : "them");
}

static int compile_modules(const struct workshop *shop, struct error *err)
{
	const struct context *ctx = &shop->agent->context;
	struct work *work = &shop->agent->work;
	struct target *target = &work->targets[0];
	char package[PATH_MAX], dir[PATH_MAX];
	const struct build_choice choice = { .tree = work->tree,
					     .version = work->driver.version,
					     .wanted =
						     ctx->settings.driver.kernel_module };
	struct build_input input = { .tree = work->tree,
				     .version = work->driver.version,
				     .kernel = &target->kernel,
				     .toolchain = &shop->toolchain,
				     .dir = dir,
				     .reproducible = true };

	if (!path_below(shop, work->driver.path, package, sizeof(package)) ||
	    !path_below(shop, "/tree", work->tree, sizeof(work->tree)) ||
	    !path_below(shop, "/build", dir, sizeof(dir)))
		return error_set_errno(err, ENAMETOOLONG, "unpacking the driver");
	if (unpack_run_in(shop->dir, package, &ctx->root, ctx->runner, 0, err) < 0 ||
	    build_flavour(ctx->runner, &ctx->root, &choice, &work->driver.open, err) < 0)
		return -1;
	input.open = work->driver.open;
	if (build_modules(ctx->runner, &ctx->root, &input, &target->built, err) < 0)
		return -1;
	return signing_sign(ctx, &target->kernel, &target->built, err);
}

static int open_cert(const struct context *ctx, int *ret_fd, struct error *err)
{
	const char *cert = signing_certificate(ctx);

	*ret_fd = -1;
	if (!cert[0])
		return 0;
	*ret_fd = root_open_at(&ctx->root, cert, O_RDONLY | O_NONBLOCK, 0, err);
	return *ret_fd < 0 ? -1 : 0;
}

static int pack_archive(const struct workshop *shop, int output, struct error *err)
{
	const struct context *ctx = &shop->agent->context;
	const struct work *work = &shop->agent->work;
	cleanup_fd int cert = -1;
	struct prebuilt prebuilt = { .open = work->driver.open };
	struct prebuilt_input input = {
		.runner = ctx->runner,
		.root = &ctx->root,
		.channel = ctx->channel,
		.built = &work->targets[0].built,
	};

	/* Its usual name, whatever the file is called: the same input, the same bytes. */
	if (!text_format(prebuilt.name, sizeof(prebuilt.name),
			 "nvidia-modules-%s-%s-%s.tar.gz", work->driver.version,
			 work->targets[0].kernel.release,
			 prebuilt_flavour(work->driver.open)))
		return error_set_errno(err, ENAMETOOLONG, "naming the archive");
	(void)text_copy(prebuilt.version, sizeof(prebuilt.version), work->driver.version);
	(void)text_copy(prebuilt.kernel, sizeof(prebuilt.kernel),
			work->targets[0].kernel.release);
	(void)text_copy(prebuilt.arch, sizeof(prebuilt.arch), work->guest->os.arch);
	if (toolchain_version(ctx->runner, &ctx->root, &shop->toolchain,
			      prebuilt.compiler, sizeof(prebuilt.compiler), err) < 0 ||
	    open_cert(ctx, &cert, err) < 0)
		return -1;
	input.cert = cert;
	return prebuilt_pack(&input, &prebuilt, output, err);
}

/* Somebody who makes the same archive may have begun anew under the same name. */
static int check_ours(const struct root *caller, const char *partial, int fd,
		      struct error *err)
{
	struct stat ours, there_now;
	bool there;

	if (fstat(fd, &ours) < 0)
		return error_set_errno(err, errno, "looking at %s", partial);
	if (root_look(caller, partial, &there, &there_now, err) < 0)
		return -1;
	if (there && there_now.st_ino == ours.st_ino)
		return 0;
	return error_set(err, ERROR_BUSY, "another build-modules writes %s", partial);
}

/* Beside the caller's file under another name, until it is whole. */
static int write_archive(const struct workshop *shop, struct error *err)
{
	const struct root *caller = &shop->agent->context.caller;
	const char *path = shop->output;
	struct error ignored = ERROR_INIT;
	char partial[PATH_MAX];
	cleanup_fd int fd = -1;
	int result;

	if (!text_format(partial, sizeof(partial), "%.*s.%s.vgpu-new",
			 (int)(text_base_name(path) - path), path, text_base_name(path)))
		return error_set_errno(err, ENAMETOOLONG, "naming the archive");
	file_discard_new(caller, path); /* of one that was killed */
	fd = root_open_at(caller, partial, O_RDWR | O_CREAT | O_EXCL, 0644, err);
	if (fd < 0)
		return -1;
	result = pack_archive(shop, fd, err);
	if (check_ours(caller, partial, fd, result < 0 ? &ignored : err) < 0)
		return -1;
	if (result == 0)
		result = root_rename(caller, partial, path, err);
	if (result < 0)
		root_discard(caller, partial);
	return result;
}

static int need_run(const char *version, enum package_kind kind, struct error *err)
{
	if (kind == PACKAGE_RUN)
		return 0;
	return error_set(err, ERROR_NO_MATCH,
			 "driver %s is a .%s package: modules are built from a .run",
			 version, package_kind_name(kind));
}

static int step_build(void *subject, struct outcome *outcome, struct error *err)
{
	const struct workshop *shop = subject;
	const struct work *work = &shop->agent->work;
	const struct driver *driver = &work->driver;
	const struct kernel *kernel = &work->targets[0].kernel;
	char config[PREBUILT_CONFIG_SIZE];

	if (need_run(driver->version, driver->kind, err) < 0)
		return -1;
	log_line(LOG_LEVEL_NOTICE, "build      compiling for %s", kernel->release);
	if (compile_modules(shop, err) < 0 || write_archive(shop, err) < 0)
		return -1;

	if (prebuilt_check_unprovable(&shop->agent->context.root, kernel->release,
				      config))
		(void)text_format(
			outcome->warning, sizeof(outcome->warning),
			"no guest will take this archive: CONFIG_MODVERSIONS is "
			"not set in %.120s",
			config);
	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail),
			  "%s modules of %s for %s", prebuilt_flavour(driver->open),
			  driver->version, kernel->release);
	return 0;
}

static int step_match(void *subject, struct outcome *outcome, struct error *err)
{
	const struct workshop *shop = subject;
	const struct package *package = &shop->agent->work.match.package;

	if (command_run_match(shop->agent, outcome, err) < 0)
		return -1;
	/* Of a URL the name says nothing yet, and a bundle may hold a .run. */
	return package->kind == PACKAGE_DEB || package->kind == PACKAGE_RPM
		       ? need_run(package->version, package->kind, err)
		       : 0;
}

static int step_fetch(void *subject, struct outcome *outcome, struct error *err)
{
	const struct workshop *shop = subject;

	return command_run_fetch(shop->agent, outcome, err);
}

static int step_unpack(void *subject, struct outcome *outcome, struct error *err)
{
	const struct workshop *shop = subject;

	return command_run_unpack(shop->agent, outcome, err);
}

static const struct pipeline_step steps[] = {
	{ "match", step_match, JOB_MODULES, false },
	{ "fetch", step_fetch, JOB_MODULES, false },
	{ "unpack", step_unpack, JOB_MODULES, false },
	{ "build", step_build, JOB_MODULES, false },
};

static int open_workshop(struct workshop *shop, struct error *err)
{
	struct context *context = &shop->agent->context;
	const struct root *root = &context->root;
	const char *dir = root->is_host ? getenv("TMPDIR") : NULL;
	char cache[sizeof(shop->dir) + sizeof(PATHS_CACHE)];
	int fd;

	if (!dir || dir[0] != '/')
		dir = TEMPORARY;
	if (root_mkdtemp(root, dir, shop->dir, sizeof(shop->dir), &shop->alive, err) < 0)
		return -1;
	(void)text_format(cache, sizeof(cache), "%s" PATHS_CACHE, shop->dir);
	if (root_mkdir(root, cache, 0700, err) < 0)
		return -1;
	fd = root_open_at(root, shop->dir, O_PATH | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	context->cache = (struct root){ .fd = fd };
	return 0;
}

/* One signs: a key that is here, or a program that asks for the one that is not. */
static int check_signer(const struct context *ctx, struct error *err)
{
	const char *command = ctx->options->sign_command;
	const char *cert = ctx->options->sign_cert;
	bool there;

	if (!command && !cert)
		return 0;
	if (command && cert && command[0] == '/' && cert[0] == '/' &&
	    !ctx->settings.signing.key[0]) {
		if (root_exists(&ctx->root, command, &there, err) < 0)
			return -1;
		return there ? 0
			     : error_set(err, ERROR_USAGE,
					 "--sign-command: there is no %s", command);
	}
	(void)error_set(err, ERROR_USAGE,
			"--sign-command and --sign-cert need each other, absolute paths, "
			"and no signing.key");
	return error_hint(err, "docs/operator.md shows how modules are signed by a host "
			       "that keeps the key");
}

int command_build_modules(struct agent *agent, const struct request *request,
			  struct json **ret_report, struct error *err)
{
	struct context *context = &agent->context;
	struct workshop shop = { .agent = agent, .alive = -1 };
	struct error ignored = ERROR_INIT;
	struct stat there_now;
	int result = -1;

	if (request->options.kernel_count != 1 || !request->output) {
		(void)error_set(err, ERROR_USAGE, "one --kernel and --output are needed");
		return error_hint(err, "vgpu-guest-agent build-modules --kernel REL "
				       "--driver FILE --output FILE");
	}
	if (check_signer(context, err) < 0)
		return -1;
	context->job = JOB_MODULES;
	context->offline = true; /* this machine's GPU, if any, is not meant */
	if (command_output_judge(context, "--output", request->output, shop.output,
				 sizeof(shop.output), &there_now, err) < 0 ||
	    guest_look_kernels(context, &agent->guest, err) < 0 ||
	    find_tools(context, &agent->guest.os, &agent->guest.targets[0],
		       &shop.toolchain, err) < 0)
		return -1;
	if (open_workshop(&shop, err) == 0)
		result = command_run_list(agent, steps, ARRAY_SIZE(steps), &shop,
					  ret_report, err);
	if (shop.dir[0] && root_remove_tree(&context->root, shop.dir, &ignored) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", ignored.text);
	if (shop.alive >= 0)
		(void)close(shop.alive);
	return result;
}
