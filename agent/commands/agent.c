/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "core/config.h"
#include "core/transport.h"
#include "model/paths.h"

#define WORKER_SILENCE_S 900 /* an on-demand Pulp may say nothing for minutes */
#define LOGS_KEPT 5

static void show_progress(void *context, const struct json *progress)
{
	const struct agent *agent = context;
	int64_t waiting = json_get_int(progress, "waiting", 0);

	if (waiting > 0) {
		log_line(LOG_LEVEL_NOTICE, "%-9s  trying again in %lld s", agent->step,
			 (long long)waiting);
		return;
	}
	log_progress(agent->step, (uint64_t)json_get_int(progress, "done", 0),
		     (uint64_t)json_get_int(progress, "total", 0));
}

static bool is_program(const struct agent *agent, const char *path)
{
	struct stat st;

	return root_stat(&agent->caller, path, &st) && S_ISREG(st.st_mode) &&
	       st.st_mode & S_IXUSR;
}

/*
 * Beside us in the build tree, else where it was installed relative to us: so any
 * prefix will do. Never from the environment: the worker's answers are trusted by root.
 */
static int find_worker(struct agent *agent, struct error *err)
{
	char self[AGENT_PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);
	char *slash;

	if (n < 0)
		return error_set_errno(err, errno, "finding the worker");
	self[n] = '\0';
	slash = strrchr(self, '/');
	if (!slash)
		return error_set(err, ERROR_INTERNAL, "finding the worker: no path in %s",
				 self);
	*slash = '\0';

	if (text_format(agent->worker, sizeof(agent->worker), "%s/fetch-worker", self) &&
	    is_program(agent, agent->worker))
		return 0;
	if (text_format(agent->worker, sizeof(agent->worker), "%s/%s", self,
			VGPU_WORKER_FROM_BIN) &&
	    is_program(agent, agent->worker))
		return 0;

	(void)error_set(err, ERROR_INTERNAL, "the worker is not there: %s",
			agent->worker);
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

static int open_sysfs(struct agent *agent, struct error *err)
{
	struct error missing = ERROR_INIT;
	int fd;

	if (agent->options.sysfs)
		return root_open(agent->options.sysfs, &agent->sysfs, err);
	if (agent->offline)
		return 0;

	fd = root_open_at(&agent->root, "/sys", O_PATH | O_DIRECTORY, 0, &missing);
	agent->sysfs.fd = fd;
	return 0;
}

void agent_init(struct agent *ret_agent, const struct agent_options *options,
		int cancel_fd)
{
	*ret_agent = (struct agent){
		.options = *options,
		.root = ROOT_INIT,
		.caller = ROOT_INIT,
		.sysfs = ROOT_INIT,
		.cache = ROOT_INIT,
		.log_fd = -1,
		.command_token = -1,
		.look = QUERY_INIT,
		.package = FETCH_RESULT_INIT,
		.metadata = METADATA_INIT,
		.runner = run_runner(cancel_fd),
	};
	ret_agent->channel = (struct channel){
		.worker = ret_agent->worker,
		.silence_s = WORKER_SILENCE_S,
		.cancel_fd = cancel_fd,
		.progress = show_progress,
		.context = ret_agent,
	};
}

int agent_open(struct agent *agent, struct error *err)
{
	const struct agent_options *options = &agent->options;

	if (root_open("/", &agent->caller, err) < 0)
		return -1;
	if (root_open(options->root ? options->root : "/", &agent->root, err) < 0)
		return error_recode(err, ERROR_USAGE);
	agent->offline = options->offline || options->root || is_chroot();

	if (open_sysfs(agent, err) < 0)
		return error_recode(err, ERROR_USAGE);
	if (find_worker(agent, err) < 0)
		return -1;
	if (config_read(agent, err) < 0)
		return -1;
	return config_assemble(agent, NULL, NULL, err);
}

void agent_close(struct agent *agent)
{
	query_close(&agent->look);
	fetch_result_done(&agent->package);
	match_done(&agent->match);
	repository_done(&agent->repository);
	metadata_done(&agent->metadata);
	state_done(&agent->state);
	if (agent->transport_ready)
		transport_done(&agent->transport);
	if (agent->log_fd >= 0)
		(void)close(agent->log_fd);
	if (agent->command_token >= 0)
		(void)close(agent->command_token);
	root_close(&agent->cache);
	root_close(&agent->sysfs);
	root_close(&agent->root);
	root_close(&agent->caller);
}

int agent_need_transport(struct agent *agent, struct error *err)
{
	if (agent->transport_ready)
		return 0;
	if (transport_open(&agent->settings, &agent->base, &agent->root, &agent->caller,
			   &agent->transport, err) < 0)
		return -1;
	agent->transport_ready = true;
	return 0;
}

/* Their names are their times: sorted is oldest first. */
static int drop_old_logs(struct agent *agent, struct error *err)
{
	cleanup_strv char **names = NULL;
	size_t count = 0;

	if (root_list(&agent->root, PATHS_LOGS, 1000, &names, err) < 0)
		return -1;
	while (names[count])
		count++;
	for (size_t i = 0; i + LOGS_KEPT <= count; i++) {
		char path[512];

		if (text_format(path, sizeof(path), PATHS_LOGS "/%s", names[i]) &&
		    root_unlink(&agent->root, path, err) < 0)
			return -1;
	}
	return 0;
}

int agent_need_log(struct agent *agent, struct error *err)
{
	char time[CLOCK_TEXT_SIZE];

	if (agent->log_fd >= 0)
		return 0;
	if (root_mkdir(&agent->root, PATHS_LOGS, 0755, err) < 0 ||
	    drop_old_logs(agent, err) < 0)
		return -1;

	(void)text_format(agent->log_path, sizeof(agent->log_path),
			  PATHS_LOGS "/run-%s.log",
			  clock_text(clock_now(), time, sizeof(time)));
	agent->log_fd = root_open_at(&agent->root, agent->log_path,
				     O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640,
				     err);
	return agent->log_fd < 0 ? -1 : 0;
}
