/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/build_modules.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>

#include "base/log.h"
#include "base/text.h"
#include "core/guest.h"
#include "driver/obtain.h"
#include "model/paths.h"
#include "steps/build.h"
#include "steps/prebuilt.h"
#include "steps/sign.h"
#include "steps/toolchain.h"

#define TEMPORARY "/var/tmp"

/* In folders of its own, all of them below agent->workshop. */
static bool below(const struct agent *agent, const char *name, char *ret_path,
		  size_t size)
{
	return text_format(ret_path, size, "%s%s", agent->workshop, name);
}

static int find_tools(struct agent *agent, struct toolchain *ret_toolchain,
		      struct error *err)
{
	const struct kernel *kernel = &agent->targets[0];

	if (toolchain_find(&agent->root, kernel, false, ret_toolchain, err) < 0)
		return -1;
	if (!ret_toolchain->missing[0])
		return 0;
	(void)error_set(err, ERROR_PREREQUISITES, "kernel %s: missing: %s",
			kernel->release, ret_toolchain->missing);
	return error_hint(err, "install them: build-modules changes nothing here");
}

static int sign(struct agent *agent, const struct build_result *built, struct error *err)
{
	const struct sign_key key = { .key = agent->settings.signing.key,
				      .cert = agent->settings.signing.cert };

	if (!key.key[0])
		return 0;
	return sign_modules(&agent->runner, &agent->root, &key, &agent->targets[0], built,
			    err);
}

static int compile(struct agent *agent, struct toolchain *toolchain, struct error *err)
{
	char package[PATH_MAX], dir[PATH_MAX];
	struct build_choice choice = {
		.tree = agent->tree,
		.version = agent->match.package.version,
		.wanted = agent->settings.driver.kernel_module,
	};
	struct build_input input = {
		.tree = agent->tree,
		.version = agent->match.package.version,
		.kernel = &agent->targets[0],
		.toolchain = toolchain,
		.dir = dir,
		.reproducible = true,
	};

	if (!below(agent, agent->package_path, package, sizeof(package)) ||
	    !below(agent, "/tree", agent->tree, sizeof(agent->tree)) ||
	    !below(agent, "/build", dir, sizeof(dir)))
		return error_set_errno(err, ENAMETOOLONG, "unpacking the driver");
	if (unpack_run_in(agent->workshop, package, &agent->root, &agent->runner, 0,
			  err) < 0 ||
	    build_flavour(&agent->runner, &agent->root, &choice, &agent->open_modules,
			  err) < 0)
		return -1;
	input.open = agent->open_modules;
	if (build_modules(&agent->runner, &agent->root, &input, &agent->built[0], err) <
	    0)
		return -1;
	return sign(agent, &agent->built[0], err);
}

static int open_cert(const struct agent *agent, int *ret_fd, struct error *err)
{
	*ret_fd = -1;
	if (!agent->settings.signing.key[0])
		return 0;
	*ret_fd = root_open_at(&agent->root, agent->settings.signing.cert,
			       O_RDONLY | O_NONBLOCK, 0, err);
	return *ret_fd < 0 ? -1 : 0;
}

/* Beside the caller's file under another name, until it is whole. */
static int pack(struct agent *agent, const struct toolchain *toolchain, int output,
		struct error *err)
{
	cleanup_fd int cert = -1;
	struct prebuilt prebuilt = { .open = agent->open_modules };
	struct prebuilt_input input = {
		.runner = &agent->runner,
		.root = &agent->root,
		.channel = &agent->channel,
		.built = &agent->built[0],
		.compiler = toolchain->compiler,
	};

	if (!text_copy(prebuilt.name, sizeof(prebuilt.name),
		       text_base_name(agent->archive_path)))
		return error_set_errno(err, ENAMETOOLONG, "naming the archive");
	(void)text_copy(prebuilt.version, sizeof(prebuilt.version),
			agent->match.package.version);
	(void)text_copy(prebuilt.kernel, sizeof(prebuilt.kernel),
			agent->targets[0].release);
	(void)text_copy(prebuilt.arch, sizeof(prebuilt.arch), agent->os.arch);
	if (open_cert(agent, &cert, err) < 0)
		return -1;
	input.cert = cert;
	return prebuilt_pack(&input, &prebuilt, output, err);
}

static int publish(struct agent *agent, const struct toolchain *toolchain,
		   struct error *err)
{
	const char *path = agent->archive_path;
	char partial[PATH_MAX];
	cleanup_fd int fd = -1;

	if (!text_format(partial, sizeof(partial), "%.*s.%s.%ld",
			 (int)(text_base_name(path) - path), path, text_base_name(path),
			 (long)getpid()))
		return error_set_errno(err, ENAMETOOLONG, "naming the archive");
	fd = root_open_at(&agent->caller, partial, O_RDWR | O_CREAT | O_EXCL, 0644, err);
	if (fd < 0)
		return -1;
	if (pack(agent, toolchain, fd, err) < 0 ||
	    root_rename(&agent->caller, partial, path, err) < 0) {
		root_discard(&agent->caller, partial);
		return -1;
	}
	return 0;
}

static int step_build(struct agent *agent, struct outcome *outcome, struct error *err)
{
	struct toolchain toolchain;

	if (agent->match.package.kind != PACKAGE_RUN)
		return error_set(err, ERROR_NO_MATCH,
				 "driver %s is a .%s package: modules are built from a "
				 ".run",
				 agent->match.package.version,
				 package_kind_name(agent->match.package.kind));
	log_line(LOG_LEVEL_NOTICE, "build      compiling for %s",
		 agent->targets[0].release);
	if (find_tools(agent, &toolchain, err) < 0 ||
	    compile(agent, &toolchain, err) < 0 || publish(agent, &toolchain, err) < 0)
		return -1;

	outcome->kind = OUTCOME_CHANGED;
	(void)text_format(outcome->detail, sizeof(outcome->detail),
			  "%s modules of %s for %s",
			  prebuilt_flavour(agent->open_modules),
			  agent->match.package.version, agent->targets[0].release);
	return 0;
}

static const struct pipeline_step steps[] = {
	{ "match", obtain_match, AGENT_PREBUILD, false },
	{ "fetch", obtain_fetch, AGENT_PREBUILD, false },
	{ "unpack", obtain_unpack, AGENT_PREBUILD, false },
	{ "build", step_build, AGENT_PREBUILD, false },
};

/* Known before the compile, not after it. */
static int check_output(struct agent *agent, const char *output, struct error *err)
{
	cleanup_free char *path = root_absolute(output);
	char dir[sizeof(agent->archive_path)];
	cleanup_fd int fd = -1;

	if (!path || !text_copy(agent->archive_path, sizeof(agent->archive_path), path))
		return error_set_errno(err, path ? ENAMETOOLONG : errno, "--output %s",
				       output);
	(void)text_format(dir, sizeof(dir), "%.*s", (int)(text_base_name(path) - path),
			  path);
	fd = root_open_at(&agent->caller, dir, O_RDONLY | O_DIRECTORY, 0, err);
	if (fd < 0) {
		(void)error_prefix(err, "--output %s", output);
		return error_recode(err, err->code == ERROR_INTERNAL ? ERROR_USAGE
								     : err->code);
	}
	if (text_base_name(path)[0])
		return 0;
	return error_set(err, ERROR_USAGE, "--output %s names no file", output);
}

static int open_workshop(struct agent *agent, struct error *err)
{
	const char *dir = agent->root.is_host ? getenv("TMPDIR") : NULL;
	char cache[sizeof(agent->workshop) + sizeof(PATHS_CACHE)];
	int fd;

	if (!dir || dir[0] != '/')
		dir = TEMPORARY;
	if (root_mkdtemp(&agent->root, dir, agent->workshop, sizeof(agent->workshop),
			 err) < 0)
		return -1;
	(void)text_format(cache, sizeof(cache), "%s" PATHS_CACHE, agent->workshop);
	if (root_mkdir(&agent->root, cache, 0700, err) < 0)
		return -1;
	fd = root_open_at(&agent->root, agent->workshop, O_PATH | O_DIRECTORY, 0, err);
	if (fd < 0)
		return -1;
	agent->cache = (struct root){ .fd = fd };
	return 0;
}

int command_build_modules(struct agent *agent, const char *output,
			  struct pipeline_report *ret_report, struct error *err)
{
	struct error ignored = ERROR_INIT;
	int result = -1;

	*ret_report = (struct pipeline_report){ 0 };
	agent->offline = true; /* this machine's GPU, if any, is not meant */
	if (check_output(agent, output, err) < 0 || guest_kernels(agent, err) < 0)
		return -1;
	if (open_workshop(agent, err) == 0)
		result = pipeline_run_list(agent, AGENT_PREBUILD, steps,
					   ARRAY_SIZE(steps), ret_report, err);
	if (agent->workshop[0] &&
	    root_remove_tree(&agent->root, agent->workshop, &ignored) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: %s", ignored.text);
	return result;
}
