/* SPDX-License-Identifier: Apache-2.0 */
#include "worker/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "worker/progress.h"
#include "worker/sandbox.h"

static const struct job *find_job(const struct job *jobs, size_t count, const char *name)
{
	for (size_t i = 0; name && i < count; i++) {
		if (strcmp(jobs[i].name, name) == 0)
			return &jobs[i];
	}

	return NULL;
}

/*
 * Ends with the agent, leaves no core file (credentials are in memory; not dumpable also
 * keeps other processes of the user out), and takes a closed connection as an error
 * instead of a signal, which libcurl with CURLOPT_NOSIGNAL leaves to its caller; so is a
 * file that grows beyond its limit.
 */
static int harden(struct error *err)
{
	struct pollfd agent = { .fd = CHANNEL_FD, .events = 0 };

#ifndef VGPU_INSTRUMENTED /* a leak is looked for by a tracer */
	if (prctl(PR_SET_DUMPABLE, 0) < 0)
		return error_set_errno(err, errno, "hiding the worker's memory");
#endif
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }); /* a unit may forbid it */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || signal(SIGPIPE, SIG_IGN) == SIG_ERR ||
	    signal(SIGXFSZ, SIG_IGN) == SIG_ERR)
		return error_set_errno(err, errno, "preparing the worker");
	if (poll(&agent, 1, 0) > 0 && agent.revents & POLLHUP)
		return error_set(err, ERROR_INTERNAL, "the agent is gone");

	return 0;
}

struct program {
	const struct job *jobs;
	size_t count;
	bool online;
	const char *told;
};

static int run_job(const struct program *program, struct json **ret_result,
		   struct error *err)
{
	cleanup_json struct json *request = NULL;
	const struct job *job;

	if (harden(err) < 0 || channel_receive(CHANNEL_FD, &request, err) < 0)
		return -1;
	job = find_job(program->jobs, program->count, json_get_string(request, "job"));
	if (!job)
		return error_set(err, ERROR_INTERNAL, "the worker knows no such job");
	if (sandbox_enter(program->online, request, program->told, err) < 0)
		return -1;

	return job->run(request, ret_result, err);
}

int worker_run(int argc, char **argv, const struct job *jobs, size_t count, bool online)
{
	const struct program program = { .jobs = jobs,
					 .count = count,
					 .online = online,
					 .told = argc > 1 ? argv[1] : NULL };
	struct json *result = NULL; /* channel_send() takes it */
	struct error err = ERROR_INIT, lost = ERROR_INIT;
	struct stat st;
	int sent;

	if (fstat(CHANNEL_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		(void)fprintf(stderr, "%s: vgpu-guest-agent starts this program\n",
			      program_invocation_short_name);
		return ERROR_USAGE;
	}

	progress_open(CHANNEL_FD, channel_send);
	if (run_job(&program, &result, &err) < 0)
		sent = channel_send_error(CHANNEL_FD, &err, &lost);
	else
		sent = channel_send(CHANNEL_FD, "result", result, &lost);

	return sent < 0 ? ERROR_INTERNAL : EXIT_SUCCESS;
}
