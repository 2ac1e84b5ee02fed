/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"
#include "core/config.h"
#include "model/driver/package.h"
#include "model/paths.h"
#include "steps/sealed.h"

static int is_program(const struct root *caller, const char *path, bool *ret_is,
		      struct error *err)
{
	struct stat st;

	if (root_look(caller, path, ret_is, &st, err) < 0)
		return -1;
	*ret_is = *ret_is && S_ISREG(st.st_mode) && st.st_mode & S_IXUSR;
	return 0;
}

/* Both workers in `folder`; `ret_missing` is the one that is not there, NULL for none. */
static int look_for_workers(const struct root *caller, const char *folder,
			    struct tools *tools, const char **ret_missing,
			    struct error *err)
{
	bool is = false;

	*ret_missing = tools->worker;
	if (text_format(tools->worker, sizeof(tools->worker), "%s/fetch-worker",
			folder) &&
	    is_program(caller, tools->worker, &is, err) < 0)
		return -1;
	if (!is)
		return 0;
	*ret_missing = tools->net;
	is = false;
	if (text_format(tools->net, sizeof(tools->net), "%s/net-worker", folder) &&
	    is_program(caller, tools->net, &is, err) < 0)
		return -1;
	if (is)
		*ret_missing = NULL;
	return 0;
}

/*
 * Beside us in the build tree, else where they were installed relative to us: so any
 * prefix will do. Never from the environment: the workers' answers are trusted by root.
 */
static int find_workers(const struct root *caller, struct tools *tools, struct error *err)
{
	char self[CONTEXT_PATH_MAX], folder[CONTEXT_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	const char *missing;
	char *slash;

	if (n < 0) {
		(void)error_set_errno(err, errno,
				      "finding the workers by /proc/self/exe");
		return error_hint(err, "mount /proc here: mount -t proc proc /proc");
	}
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return error_set(err, ERROR_INTERNAL,
				 "finding the workers: no path in %s", self);
	*slash = '\0';

	if (look_for_workers(caller, self, tools, &missing, err) < 0)
		return -1;
	if (missing &&
	    text_format(folder, sizeof(folder), "%s/%s", self, VGPU_WORKERS_FROM_BIN) &&
	    look_for_workers(caller, folder, tools, &missing, err) < 0)
		return -1;
	if (!missing)
		return 0;

	(void)error_set(err, ERROR_INTERNAL, "the worker is not there: %s", missing);
	return error_hint(err, "install vgpu-guest-agent again, as a whole");
}

/* In a chroot PID 1's root is another one than ours. Where that cannot be asked: no
 * chroot. */
static bool is_chroot(void)
{
	struct stat ours, init;

	return stat("/", &ours) == 0 && stat("/proc/1/root/", &init) == 0 &&
	       (ours.st_dev != init.st_dev || ours.st_ino != init.st_ino);
}

/* A folder that the caller has named; one that is not there is the caller's mistake. */
static int open_named(const char *dir, const char *hint, struct root *ret_root,
		      struct error *err)
{
	if (root_open(dir, ret_root, err) == 0)
		return 0;
	if (err->errnum != ENOENT && err->errnum != ENOTDIR && err->errnum != ELOOP &&
	    err->errnum != ENAMETOOLONG)
		return -1;
	(void)error_recode(err, ERROR_USAGE);
	return error_hint(err, "%s", hint);
}

static int open_sysfs(struct context *context, struct error *err)
{
	struct error missing = ERROR_INIT;

	if (context->options->sysfs)
		return open_named(context->options->sysfs,
				  "--sysfs names a folder with bus/pci/devices in it",
				  &context->sysfs, err);
	if (context->offline)
		return 0;
	context->sysfs.fd =
		root_open_at(&context->root, "/sys", O_PATH | O_DIRECTORY, 0, &missing);
	return 0;
}

void agent_init(struct agent *ret_agent, const struct options *options, int cancel_fd)
{
	*ret_agent = (struct agent){
		.context = CONTEXT_INIT,
		.work = WORK_INIT,
		.lease = LEASE_INIT,
		.metadata = METADATA_INIT,
	};
	context_tools_init(&ret_agent->tools, cancel_fd);
	ret_agent->context.options = options;
	ret_agent->context.tools = &ret_agent->tools;
	ret_agent->context.runner = &ret_agent->tools.runner;
	ret_agent->context.channel = &ret_agent->tools.channel;
}

/* Which key it was, and who set it, is in the error already. */
static int refuse_settings(struct error *err)
{
	if (err->code != ERROR_USAGE || err->hint[0])
		return -1;
	return error_hint(err, "vgpu-guest-agent.conf(5) says what each key takes");
}

/* Said at once, in the words of the option and not of the key that it stands for. */
static int check_driver(const struct context *context, struct error *err)
{
	const char *file = context->options->driver;
	cleanup_free char *path = file ? root_absolute(file) : NULL;
	bool there;

	if (!file)
		return 0;
	if (!path)
		return error_set_errno(err, errno, "--driver %s", file);
	if (root_exists(&context->caller, path, &there, err) < 0)
		return -1;
	if (!there)
		(void)error_set(err, ERROR_USAGE, "--driver %s: there is no such file",
				file);
	else if (package_kind_of(span_base_name(span_of(path))) == PACKAGE_NONE)
		(void)error_set(err, ERROR_USAGE,
				"--driver %s: no .zip, .run, .deb or .rpm file", file);
	else
		return 0;
	return error_hint(err, "name a GRID guest driver as it was downloaded");
}

int agent_open(struct agent *agent, struct error *err)
{
	struct context *context = &agent->context;
	const struct options *options = context->options;

	if (root_open("/", &context->caller, err) < 0)
		return -1;
	if (open_named(options->root ? options->root : "/",
		       "--root names the folder that a system is mounted at",
		       &context->root, err) < 0)
		return -1;
	context->offline = options->offline || options->root || is_chroot();

	if (open_sysfs(context, err) < 0)
		return -1;
	if (find_workers(&context->caller, &agent->tools, err) < 0)
		return -1;
	agent->tools.channel.net = agent->tools.net;
	if (check_driver(context, err) < 0)
		return -1;
	if (config_read(options, &context->root, &context->caller, &context->base, err) <
		    0 ||
	    config_assemble(options, &context->base, NULL, NULL, &context->settings,
			    err) < 0)
		return refuse_settings(err);
	return 0;
}

void agent_close(struct agent *agent)
{
	work_done(&agent->work);
	repository_done(&agent->repository);
	metadata_done(&agent->metadata);
	state_done(&agent->state);
	context_tools_close(&agent->tools);
	if (agent->lease.token_fd >= 0)
		(void)close(agent->lease.token_fd);
	root_close(&agent->context.cache);
	root_close(&agent->context.sysfs);
	root_close(&agent->context.root);
	root_close(&agent->context.caller);
}

int agent_stop_units(const struct agent *agent, struct outcome *outcome,
		     struct error *err)
{
	const struct context *ctx = &agent->context;
	bool changed = false;

	if (sealed_begin(ctx->runner, &ctx->root, &changed, err) < 0)
		return -1;
	outcome_tell(outcome, changed,
		     changed ? "monitor, timer and rotation stopped until the next boot"
			     : "no unit of ours is active");
	return 0;
}
