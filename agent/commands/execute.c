/* SPDX-License-Identifier: Apache-2.0 */
#include "commands/execute.h"

#include <string.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/manager.h"
#include "commands/agent.h"
#include "commands/noted.h"
#include "core/last_run.h"
#include "model/paths.h"
#include "steps/labels.h"

/* Another package manager's work is waited for so long, and looked at so often. */
#define MANAGER_WAIT_S 600
#define MANAGER_LOOK_S 5

/* A repository that disagrees with itself is read again so often, in about two minutes.
 */
#define READS_MAX 4
#define READ_PAUSE_S 20 /* and up to as much again */

/* The locks of one try; they go with the process, whatever happens to it. */
struct locks {
	int lock, former;
};

static void locks_release(struct locks *locks)
{
	if (locks->former >= 0)
		(void)close(locks->former);
	if (locks->lock >= 0)
		(void)close(locks->lock);
	*locks = (struct locks){ -1, -1 };
}

static int locks_take(const struct root *root, unsigned wait_s, int cancel_fd,
		      struct locks *locks, struct error *err)
{
	if (root_mkdir(root, PATHS_LOCK_DIR, 0755, err) < 0 ||
	    lock_take(root, PATHS_LOCK, wait_s, cancel_fd, &locks->lock, err) < 0)
		return -1;
	return lock_take_former(root, PATHS_LOCK_FORMER, wait_s, cancel_fd,
				&locks->former, err);
}

static int execute(struct agent *agent, const struct command_call *call,
		   const struct request *request, unsigned wait_s, struct locks *locks,
		   struct json **ret_report, struct error *err)
{
	const struct root *root = &agent->context.root;

	if (call->needs_root && geteuid() != 0) {
		(void)error_set(err, ERROR_PERMISSION, "needs root");
		return error_hint(err, "sudo vgpu-guest-agent %s", call->name);
	}
	if (agent_open(agent, err) < 0)
		return -1;
	/* A token may pass through our memory: no core and no debugger shall see it. */
	(void)prctl(PR_SET_DUMPABLE, 0);
	if (!call->locks)
		return state_load(root, &agent->state, err) < 0
			       ? -1
			       : call->run(agent, request, ret_report, err);
	if (locks_take(root, wait_s, call->cancel_fd, locks, err) < 0 ||
	    state_open(root, &agent->state, err) < 0)
		return -1;
	command_noted_forget(root, &request->options);
	return call->run(agent, request, ret_report, err);
}

/* What a kernel is built for after seal or uninstall would be undoing their work. */
static bool builds_noted(const struct agent *agent, const struct error *err)
{
	return !(agent->context.job & (JOB_SEAL | JOB_UNINSTALL)) && !err->interrupted;
}

/*
 * Before the lock is let go, and once more after: who noted a kernel in between has still
 * found us at work. Whoever has the lock by then looks, too.
 */
static void serve_noted(const struct agent *agent, const struct command_call *call,
			const struct request *request, struct locks *locks)
{
	struct error busy = ERROR_INIT;
	size_t count = 1;

	(void)command_noted_build(agent, request, call->cancel_fd);
	while (count > 0) {
		locks_release(locks);
		if (!command_noted_waits(&agent->context.root) ||
		    locks_take(&agent->context.root, 0, call->cancel_fd, locks, &busy) <
			    0)
			return;
		count = command_noted_build(agent, request, call->cancel_fd);
	}
}

/* Whether a step of the command has written anything. */
static bool has_written(const struct json *report)
{
	const struct json *steps = json_get(report, "steps");

	for (size_t i = 0; i < json_count(steps); i++) {
		const char *outcome = json_get_string(json_at(steps, i), "outcome");

		if (outcome &&
		    (strcmp(outcome, outcome_kind_name(OUTCOME_CHANGED)) == 0 ||
		     strcmp(outcome, outcome_kind_name(OUTCOME_FAILED)) == 0))
			return true;
	}
	return false;
}

/* In an image, behind the last file that was written: the state's own. */
static void label_image(const struct context *ctx, const struct json *report,
			const struct error *err)
{
	struct error why = ERROR_INIT;
	struct labels labels;

	if (!ctx->offline || ctx->job & JOB_APART || err->interrupted ||
	    !has_written(report))
		return;
	if (labels_set_image(ctx->runner, &ctx->root, &labels, &why) < 0)
		log_line(LOG_LEVEL_WARNING, "warning: labels: %s", why.text);
	else if (labels.kind == LABELS_SET)
		log_line(LOG_LEVEL_NOTICE, "%-9s  set by the image's own SELinux policy",
			 "labels");
	else if (labels.kind == LABELS_AT_BOOT)
		log_line(LOG_LEVEL_WARNING,
			 "warning: labels: %s: SELinux labels the files at the first "
			 "boot, and boots once more (/.autorelabel)",
			 labels.why);
}

/* One try: an agent of its own, with the lock from beginning to end. */
static int attempt(const struct command_call *call, const struct request *request,
		   unsigned wait_s, unsigned *ret_reads, struct json **ret_report,
		   const char **ret_step, struct error *err)
{
	static struct agent agent; /* too large for the stack */
	cleanup(locks_release) struct locks locks = { -1, -1 };
	int result;

	agent_init(&agent, &request->options, call->cancel_fd);
	agent.tools.step = call->name;
	result = execute(&agent, call, request, wait_s, &locks, ret_report, err);
	*ret_step = agent.tools.step;
	*ret_reads = agent.context.settings.http.retries < READS_MAX
			     ? (unsigned)agent.context.settings.http.retries
			     : READS_MAX;
	if (locks.lock >= 0 && builds_noted(&agent, err))
		serve_noted(&agent, call, request, &locks);
	if (call->locks)
		label_image(&agent.context, *ret_report, err);
	if (result < 0 && call->by_timer && !agent.context.offline)
		last_run_say_final(&agent.context.caller, err);
	agent_close(&agent);
	return result;
}

/* At least `pause_s`, and on while its lock is seen to be held, up to `end`. */
static int wait_for_manager(const struct options *options, double pause_s, double end,
			    int cancel_fd, struct error *err)
{
	cleanup(root_close) struct root root = ROOT_INIT;
	double enough = clock_monotonic() + pause_s;
	long pid;

	if (root_open(options->root ? options->root : "/", &root, err) < 0)
		return -1;
	do {
		if (clock_sleep(MANAGER_LOOK_S, cancel_fd, err) < 0)
			return -1;
	} while (clock_monotonic() < end &&
		 (clock_monotonic() < enough ||
		  manager_look(&root, &pid) == MANAGER_LOCK_HELD));
	return 0;
}

/* A number from 0 to 1, another for each guest. */
static double at_random(void)
{
	uint32_t number = 0;

	(void)getrandom(&number, sizeof(number), GRND_NONBLOCK);
	return (double)number / UINT32_MAX;
}

/*
 * List, index, signature and file are read one after the other, and may be of two
 * publications: then all are read again. Only what is wrong in the same way twice is
 * wrong; what is so each time in another way is a repository in motion.
 */
static bool reads_again(const struct error *before, unsigned reads, unsigned most,
			struct error *err)
{
	if (err->code != ERROR_INTEGRITY || !err->passing)
		return false;
	if (reads > 0 && strcmp(before->text, err->text) == 0) {
		(void)error_passing(err, false);
		return false;
	}
	if (reads < most)
		return true;
	if (reads > 0) {
		(void)error_recode(err, ERROR_NETWORK);
		(void)error_hint(err, "the repository is being changed: try again later");
	}
	return false;
}

/* The attempts of one command, each of which begins anew. */
struct attempts {
	unsigned wait_s; /* for our lock */
	double manager_end, manager_pause;
	unsigned reads;
	struct error before;
};

/* Whether there is to be another attempt after `err`, which may become another's. */
static bool goes_on(const struct command_call *call, const struct request *request,
		    unsigned most_reads, struct attempts *attempts, const char *step,
		    struct error *err)
{
	double pause = READ_PAUSE_S * (1 + at_random());
	bool late = clock_monotonic() >= attempts->manager_end;

	attempts->wait_s = MANAGER_WAIT_S;
	if (manager_was_locked(err) && !late) {
		log_line(LOG_LEVEL_NOTICE, "%-9s  waiting: %s", step, err->text);
		pause = attempts->manager_pause;
		attempts->manager_pause *= 2;
		return wait_for_manager(&request->options, pause, attempts->manager_end,
					call->cancel_fd, err) == 0;
	}
	if (!call->reads_again ||
	    !reads_again(&attempts->before, attempts->reads, most_reads, err))
		return false;
	attempts->reads++;
	attempts->before = *err;
	log_line(LOG_LEVEL_NOTICE, "%-9s  reading all again in %.0f s: %s", step, pause,
		 err->text);
	return clock_sleep(pause, call->cancel_fd, err) == 0;
}

int command_execute(const struct command_call *call, const struct request *request,
		    struct json **ret_report, const char **ret_step, struct error *err)
{
	struct attempts attempts = { .wait_s = request->lock_wait_s,
				     .manager_end = clock_monotonic() + MANAGER_WAIT_S,
				     .manager_pause = MANAGER_LOOK_S,
				     .before = ERROR_INIT };
	unsigned most_reads = 0;

	for (;;) {
		struct error failed = ERROR_INIT;

		if (attempt(call, request, attempts.wait_s, &most_reads, ret_report,
			    ret_step, &failed) == 0)
			return 0;
		*err = failed;
		if (!goes_on(call, request, most_reads, &attempts, *ret_step, err))
			return -1;
		json_free(*ret_report);
		*ret_report = NULL;
	}
}
