/* SPDX-License-Identifier: Apache-2.0 */

/*
 * The worker: reads one request on descriptor 3, does that job, answers there, ends.
 */

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "base/channel.h"
#include "worker/job/job.h"
#include "worker/progress.h"
#include "worker/sandbox.h"

static const struct job jobs[] = {
	{ "list", job_list },         { "fetch", job_fetch },
	{ "copy", job_copy },         { "inspect", job_inspect },
	{ "index", job_index },       { "unpack", job_unpack },
	{ "modules", job_modules },   { "pack", job_pack },
	{ "metadata", job_metadata }, { "token", job_token },
	{ "probe", job_probe },       { "member", job_member },
	{ "layers", job_layers },     { "certificate", job_certificate },
	{ "search", job_search },
};

static const struct job *job_find(const char *name)
{
	for (size_t i = 0; name && i < ARRAY_SIZE(jobs); i++) {
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

static int run_job(const char *told, struct json **ret_result, struct error *err)
{
	cleanup_json struct json *request = NULL;
	const struct job *job;

	if (channel_receive(CHANNEL_FD, &request, err) < 0)
		return -1;
	job = job_find(json_get_string(request, "job"));
	if (!job)
		return error_set(err, ERROR_INTERNAL, "the worker knows no such job");
	if (sandbox_enter(request, told, err) < 0)
		return -1;

	return job->run(request, ret_result, err);
}

int main(int argc, char **argv)
{
	struct json *result = NULL; /* channel_send() takes it */
	struct error err = ERROR_INIT, lost = ERROR_INIT;
	struct stat st;
	int sent;

	if (fstat(CHANNEL_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		(void)fputs("fetch-worker: vgpu-guest-agent starts this program\n",
			    stderr);
		return ERROR_USAGE;
	}

	progress_open(CHANNEL_FD);
	if (harden(&err) < 0 || run_job(argc > 1 ? argv[1] : NULL, &result, &err) < 0)
		sent = channel_send_error(CHANNEL_FD, &err, &lost);
	else
		sent = channel_send(CHANNEL_FD, "result", result, &lost);

	return sent < 0 ? ERROR_INTERNAL : EXIT_SUCCESS;
}
